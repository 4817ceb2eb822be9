"""`python -m workers.replay FILE… | --query QUERY`: does the installed workflow code agree with histories?"""

import argparse
import asyncio
import base64
import json
import os
import sys
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast

from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Replayer

from contracts.errors import ErrorCode, OrchestratorError
from runtime.keyring import KeyRing
from runtime.settings import load_settings
from runtime.temporal import client as temporal_client
from runtime.temporal.authenticity import AuthenticityInterceptor
from runtime.temporal.converter import build_data_converter, file_converter
from runtime.temporal.payload_limit import PayloadLimitInterceptor
from workers.sandbox import build_runner
from workers.wiring import WORKFLOW_FAILURES, WORKFLOWS, Ports, build_langgraph_plugin


@dataclass(frozen=True)
class Verdict:
    """`failure` is None when today's code issues the same commands as the history."""

    workflow_id: str
    failure: str | None


def load(path: Path) -> WorkflowHistory:
    """A history from a file, as `temporal workflow show --output json` writes it.

    A payload may also be unencrypted, as `{"json": value}`.
    """
    document = json.loads(path.read_text())
    if not isinstance(document, dict):
        raise ValueError(f"{path.name} is not a history")
    workflow_id = str(document.get("workflowId") or path.stem)
    return WorkflowHistory.from_json(workflow_id, json.dumps(_encoded(document)))


def _encoded(node: object) -> object:
    """The same document with unencrypted payloads in the form that Temporal writes."""
    if isinstance(node, list):
        return [_encoded(value) for value in node]
    if not isinstance(node, dict):
        return node
    if set(node) == {"json"}:
        data = base64.b64encode(json.dumps(node["json"], ensure_ascii=False).encode()).decode()
        return {"metadata": {"encoding": base64.b64encode(b"json/plain").decode()}, "data": data}
    return {key: _encoded(value) for key, value in node.items()}


def build_replayer(converter: DataConverter = pydantic_data_converter) -> Replayer:
    """A replayer with the same sandbox and plugins as the workers; it has no effects.

    `converter` reads the histories; without one, only those in the clear, such as the golden ones.
    """
    # Replay runs no activity, so that nothing is behind the ports.
    nothing = cast(Any, None)
    ports = Ports(*[nothing] * len(fields(Ports)))
    return Replayer(
        workflows=WORKFLOWS,
        plugins=[build_langgraph_plugin(ports)],
        interceptors=[PayloadLimitInterceptor(), AuthenticityInterceptor()],
        data_converter=converter,
        workflow_runner=build_runner(),
        workflow_failure_exception_types=WORKFLOW_FAILURES,
    )


async def replay(
    histories: AsyncIterator[WorkflowHistory], converter: DataConverter = pydantic_data_converter
) -> list[Verdict]:
    """Replay each history; a failure is a verdict and no exception."""
    verdicts = []
    async with build_replayer(converter).workflow_replay_iterator(histories) as results:
        async for result in results:
            failure = None if result.replay_failure is None else str(result.replay_failure)
            verdicts.append(Verdict(result.history.workflow_id, failure))
    return verdicts


async def each(histories: Iterable[WorkflowHistory]) -> AsyncIterator[WorkflowHistory]:
    for history in histories:
        yield history


async def _run(files: list[Path], query: str | None) -> list[Verdict]:
    settings = load_settings()
    keyring = KeyRing.load(settings.codec_key_file) if settings.codec_key_file.exists() else None
    # What a server has is judged as the workers would; a file may be in the clear, and of any workflow.
    of_files = file_converter(keyring) if keyring else pydantic_data_converter
    verdicts = await replay(each(load(file) for file in files), of_files) if files else []
    if query is not None:
        if keyring is None:
            raise OrchestratorError(
                ErrorCode.API_UNREACHABLE,
                f"There is no platform in {settings.home}, so there is nothing to replay. "
                "Set ORCHESTRATOR_HOME to use another one.",
            )
        client = await temporal_client.connect(settings, keyring=keyring)
        converter = build_data_converter(keyring)
        try:
            verdicts += await replay(client.list_workflows(query or None).map_histories(), converter)
        except RPCError as error:
            raise _refused(error) from error
    return verdicts


def _refused(error: RPCError) -> OrchestratorError:
    """What Temporal said of a query, in one line."""
    said = " ".join(error.message.split())[:500]
    if error.status is RPCStatusCode.INVALID_ARGUMENT:
        example = "ProjectName='notes' AND ExecutionStatus='Running'"
        return OrchestratorError(
            ErrorCode.INVALID_INPUT, f"Temporal does not understand the query: {said}. An example: {example}"
        )
    return OrchestratorError(ErrorCode.TEMPORAL_UNREACHABLE, f"Temporal did not give the histories: {said}")


def _say(verdicts: list[Verdict], as_json: bool) -> None:
    for verdict in verdicts:
        if as_json:
            line = json.dumps({"workflow_id": verdict.workflow_id, "failure": verdict.failure})
        else:
            line = f"{'ok' if verdict.failure is None else 'FAILED'}  {verdict.workflow_id}"
            line += f"\n    {verdict.failure}" if verdict.failure else ""
        sys.stdout.write(line + "\n")
    failed = sum(verdict.failure is not None for verdict in verdicts)
    if not as_json:
        sys.stdout.write(f"{len(verdicts)} replayed, {failed} failed\n")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m workers.replay", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--query", help="a Temporal list filter; empty for everything")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    code = 0
    try:
        verdicts = asyncio.run(_run(options.files, options.query))
        _say(verdicts, options.json)
        code = 1 if any(verdict.failure is not None for verdict in verdicts) else 0
    except OrchestratorError as error:
        sys.stderr.write(f"{error.code}: {error.message}\n")
        code = 2
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:1000]
        sys.stderr.write(f"{ErrorCode.INVALID_INPUT}: The histories cannot be replayed: {reason}\n")
        code = 2
    sys.stdout.flush()
    sys.stderr.flush()
    # Interpreters that end with the Temporal core loaded crash now and then on their way out.
    os._exit(code)


if __name__ == "__main__":
    main()
