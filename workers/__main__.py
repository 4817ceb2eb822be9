"""`python -m workers [QUEUE …]`: poll task queues until told to stop.

With `--spare` it loads everything, and waits for a line on its standard input before it begins: the successor of a
process that is killed need not load anything. The end of that input ends it.
"""

import argparse
import asyncio
import gc
import os
import signal
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import structlog
from temporalio.client import Client
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.worker import Worker
from tenacity import AsyncRetrying, retry_if_exception_type, retry_if_result, stop_never, wait_fixed

from activities.adapters.containers.engine import root_directory
from contracts.errors import OrchestratorError, bounded
from contracts.names import Queue
from contracts.states import AgentKind
from runtime import private_files
from runtime.beat import beat
from runtime.keyring import KeyRing
from runtime.observability import telemetry
from runtime.observability.logging import configure_logging
from runtime.runtime_report import RuntimeReport
from runtime.servers_client import ServersApi
from runtime.settings import Settings, load_settings
from runtime.temporal import background
from runtime.temporal import client as temporal_client
from runtime.temporal.gateway import Gateway
from workers.background import plan_of, regular_of
from workers.held_steps import HeldSteps, take_over
from workers.housekeeping import Housekeeping
from workers.local import Choice, build_ports, choose, root_reason
from workers.moved_home import settle
from workers.sandbox import compile_workflows
from workers.wiring import Ports, build_workers

log = structlog.get_logger(__name__)

_RECONNECT_S = 1.0
_BUCKETS_S = [0.01, 0.05, 0.1, 0.5, 1, 5, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600]
"""Activities take milliseconds, tests a minute, turns of an agent up to an hour."""


async def run(settings: Settings, queues: list[str], *, successor: bool = False) -> None:
    """Poll `queues` until SIGTERM or SIGINT, then let running activities hand themselves over.

    At the first start services are up before anything is polled, and agents can work once this process says that it is
    ready. A `successor` goes on at once: both were so before.
    """
    client = await _connected(settings)
    stop, held = _stop_event(), HeldSteps(settings.held_dir)
    held.open()
    await take_over(client, settings.held_dir)
    async with ServersApi(settings.api_url, _platform_key(settings)) as api:
        choice = choose(settings, queues)
        if Queue.INFRA in queues:
            await settle(settings, in_containers=choice.in_containers)
        ports = build_ports(settings, client, api, in_containers=choice.in_containers)
        preparing = asyncio.create_task(_get_ready(ports, queues))
        restoring = asyncio.create_task(_restore(ports, queues))
        if not successor:
            await restoring
        if Queue.AGENTS in queues:
            await _report_runtime(settings, choice)
        workers = build_workers(client, ports, queues, held=held)
        polling = asyncio.create_task(_poll(workers))
        gateway = Gateway(client, settings.ui_url)
        beside = [
            preparing,
            restoring,
            asyncio.create_task(_prepare_agent(settings, ports, queues, choice, preparing)),
            asyncio.create_task(_announce(gateway, queues, None if successor else preparing)),
            asyncio.create_task(_tidy(settings, ports, api, queues)),
            asyncio.create_task(_set_up_background(client, settings, queues)),
        ]
        for task in beside:
            task.add_done_callback(_tell_if_failed)
        for task in (preparing, restoring):
            task.add_done_callback(lambda done: _end_if_failed(done, stop))
        stopping = asyncio.create_task(_when(stop))
        await asyncio.wait([polling, stopping], return_when=asyncio.FIRST_COMPLETED)
        for task in beside:
            task.cancel()
        if not polling.done():
            log.info("stopping: running activities are handed over")
            await asyncio.gather(*(worker.shutdown() for worker in workers))
        await polling
    held.close()


def _tell_if_failed(task: asyncio.Task[None]) -> None:
    """What works beside the polling must not fail unseen."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("a part of this process has failed", exc_info=error)


def _end_if_failed(task: asyncio.Task[None], stop: asyncio.Event) -> None:
    """Without services or agents this process ends, and its successor tries again."""
    if not task.cancelled() and task.exception() is not None:
        stop.set()


async def _restore(ports: Ports, queues: list[str]) -> None:
    if Queue.INFRA in queues:
        restored = await ports.target.restore_services()
        log.info("services are up", restored=restored)


async def _get_ready(ports: Ports, queues: list[str]) -> None:
    """The first turn need not wait for an image. What cannot be had now is tried again by the turn that needs it.

    Steps of the other queues, and turns that go on, do not wait for it: after a prune it takes a minute.
    """
    if Queue.AGENTS not in queues:
        return
    try:
        await ports.runtime.get_ready()
    except OrchestratorError as error:
        log.warning("agents cannot work yet", reason=error.message)


async def _prepare_agent(
    settings: Settings, ports: Ports, queues: list[str], choice: Choice, before: asyncio.Task[None]
) -> None:
    """The image of the agent of new work, beside everything else: it takes minutes the first time. A turn that is
    earlier, and one of another agent, builds what it needs."""
    kind = settings.agent_for_new_work
    if Queue.AGENTS not in queues or not choice.in_containers or kind is AgentKind.SCRIPTED:
        return
    await asyncio.wait({before})
    await _report_runtime(settings, choice, {kind.value: "its image is being built"})
    try:
        await ports.runtime.prepare_agent(kind)
    except OrchestratorError as error:
        log.warning("the image of an agent is not there yet; the first turn tries again", reason=error.message)
        await _report_runtime(settings, choice, {kind.value: f"its image is missing: {bounded(error.message, 300)}"})
    else:
        await _report_runtime(settings, choice, {kind.value: "its image is there"})


async def _tidy(settings: Settings, ports: Ports, api: ServersApi, queues: list[str]) -> None:
    """One process of a machine is enough: the one that works with what is kept there."""
    if Queue.AGENTS in queues:
        await Housekeeping(settings, ports.forge, api).tidy_regularly()


async def _report_runtime(settings: Settings, choice: Choice, images: Mapping[str, str] | None = None) -> None:
    """So that people see whether their work runs in containers, and why.

    Where new services go follows from the choice alone: how the servers are at this moment changes nothing about it.
    """
    on_server = choice.in_containers or settings.server is not None
    report = RuntimeReport(
        work="containers" if choice.in_containers else "processes",
        services="containers" if on_server else "processes",
        reason=choice.reason,
        as_root=root_reason(settings),
        docker_root=await asyncio.to_thread(root_directory) if choice.in_containers else None,
        agent_images=dict(images or {}),
    )
    report.write(settings.runtime_report_file)
    log.info("the runtime is chosen", **report.model_dump())


async def _poll(workers: list[Worker]) -> None:
    await asyncio.gather(*(worker.run() for worker in workers))


async def _when(stop: asyncio.Event) -> None:
    await stop.wait()


async def _connected(settings: Settings) -> Client:
    """A client, as soon as the server is there. Nothing runs yet, so a signal may end the process meanwhile."""
    beat = timedelta(seconds=settings.worker_beat_s)
    runtime = Runtime(telemetry=TelemetryConfig(metrics=_metrics()), worker_heartbeat_interval=beat)
    keyring = KeyRing.load(settings.codec_key_file)
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(OrchestratorError), wait=wait_fixed(_RECONNECT_S), stop=stop_never
    ):
        with attempt:
            return await temporal_client.connect(settings, keyring=keyring, runtime=runtime)
    raise AssertionError("unreachable: the retries never stop")


def _metrics() -> PrometheusConfig | None:
    """Where this process shows Temporal's own metrics; nowhere unless the environment names `host:port`."""
    address = os.environ.get("ORCHESTRATOR_WORKERS_METRICS")
    if not address:
        return None
    return PrometheusConfig(
        bind_address=address,
        counters_total_suffix=True,
        durations_as_seconds=True,
        histogram_bucket_overrides={"temporal_activity_execution_latency": _BUCKETS_S},
    )


async def _set_up_background(client: Client, settings: Settings, queues: list[str]) -> None:
    """Whoever can run maintenance makes sure that it runs."""
    if Queue.ORCHESTRATOR not in queues:
        return
    tries = AsyncRetrying(
        retry=retry_if_exception_type(OrchestratorError), wait=wait_fixed(_RECONNECT_S), stop=stop_never
    )
    await tries(background.ensure, client, plan_of(settings), regular_of(settings))


async def _announce(gateway: Gateway, queues: list[str], after: asyncio.Task[None] | None) -> None:
    """Say that we are ready once the server has seen a poller on every queue, and then that we still live."""
    if after is not None:
        await after
    retrying = AsyncRetrying(
        retry=retry_if_result(lambda ready: not ready) | retry_if_exception_type(OrchestratorError),
        wait=wait_fixed(0.1),
        stop=stop_never,
    )

    async def polled() -> bool:
        found = await gateway.pollers(queues)
        needs_workflows = {Queue.ORCHESTRATOR}
        return all(
            queue.activity_pollers > 0 and (queue.queue not in needs_workflows or queue.workflow_pollers > 0)
            for queue in found
        )

    await retrying(polled)
    ready_file = os.environ.get("ORCHESTRATOR_READY_FILE")
    log.info("ready", queues=queues)
    if ready_file:
        Path(ready_file).write_text(f"{os.getpid()}\n")
        await beat(Path(ready_file))


def _platform_key(settings: Settings) -> str:
    try:
        return private_files.read(settings.api_service_key_file).strip()
    except OrchestratorError as error:
        raise OrchestratorError(
            error.code, f"{error.message} To create only the keys, run `python -m api bootstrap`."
        ) from error


def _stop_event() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def _needed() -> bool:
    """Wait until we are; False when whoever started us is gone, or needs us no more."""
    compile_workflows()
    gc.collect()
    gc.freeze()
    return bool(sys.stdin.readline())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m workers", description=__doc__)
    parser.add_argument("queues", nargs="*", default=list(Queue.ALL), help="task queues to poll (default: all)")
    parser.add_argument("--spare", action="store_true", help="load everything, and begin at a line on standard input")
    arguments = parser.parse_args()
    if arguments.spare and not _needed():
        os._exit(0)
    queues = arguments.queues
    code = 0
    try:
        settings = load_settings()
        configure_logging(settings, "workers")
        asyncio.run(run(settings, queues, successor=arguments.spare))
    except OrchestratorError as error:
        sys.stderr.write(f"{error.code}: {error.message}\n")
        code = 1
    sys.stderr.flush()
    telemetry.flush()
    # Interpreters that end with the Temporal core loaded crash now and then on their way out.
    os._exit(code)


if __name__ == "__main__":
    main()
