"""The gateway of one agent worker: the only way out of its containers, which have no network.

A container `gateway-<worker>` has the network and a socket in a volume of that name; the agent's container has the
socket. It can reach neither ports of this machine nor other containers: between them is no network at all.
"""

from __future__ import annotations

import hashlib
import socket

import psutil

from activities.adapters.containers.engine import Bind, ContainerSpec, DockerContainerEngine, Limits
from activities.adapters.containers.images import DockerImages
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from infra.egress.rules import Policy

PLACE = "/gateway"
SOCKET = f"{PLACE}/egress.sock"
_PORT = 3128
_PROGRAMS = "/opt"
_POLICY_LABEL = "codegen-orchestrator.egress"
_LIMITS = Limits(memory_bytes=128 * 1024**2, cpus=1.0, pids=64)
_PROXY = f"http://127.0.0.1:{_PORT}"
_LOCAL = "localhost,127.0.0.1,::1"


class EgressGateways:
    """`network` has a way to the internet; `own_hosts` are names and addresses of the platform's machine."""

    def __init__(
        self, engine: DockerContainerEngine, images: DockerImages, network: str, own_hosts: tuple[str, ...] = ()
    ) -> None:
        self._engine = engine
        self._images = images
        self._network = network
        self._own_hosts = own_hosts

    async def open(self, worker_id: str, hosts: list[str], labels: dict[str, str]) -> None:
        """Create or adopt the gateway for these hosts; one with another list is replaced."""
        policy = Policy(hosts=tuple(hosts), own=own_addresses(self._own_hosts)).written()
        labels = {**labels, _POLICY_LABEL: hashlib.sha256(policy.encode()).hexdigest()[:32]}
        name = gateway_name(worker_id)
        state = await self._engine.inspect(name)
        if state is not None and state.labels.get(_POLICY_LABEL) != labels[_POLICY_LABEL]:
            await self._engine.remove(name)
            state = None
        if state is None:
            await self._create(worker_id, policy, labels)
        if (state is None or not state.is_running) and not await self._started(name):
            await self._engine.remove(name)
            raise OrchestratorError(
                ErrorCode.PROCESS_FAILED, f"Docker started {name} only partly.", error_class=ErrorClass.TRANSIENT
            )

    async def _started(self, name: str) -> bool:
        """False if the engine was killed in the middle of a start, or has no longer what it starts from, such as a
        network that was pruned: then it is made anew."""
        try:
            return await self._engine.start(name)
        except OrchestratorError as error:
            if error.code is not ErrorCode.NOT_FOUND:
                raise
            return False

    async def close(self, worker_id: str) -> None:
        """End the gateway; fine if there is none."""
        await self._engine.remove(gateway_name(worker_id))

    async def _create(self, worker_id: str, policy: str, labels: dict[str, str]) -> None:
        await self._engine.ensure_network(self._network)
        await self._engine.ensure_volume(gateway_name(worker_id), labels)
        await self._engine.create(
            ContainerSpec(
                gateway_name(worker_id),
                await self._images.worker(),
                ["python3", "-m", "egress", "serve", SOCKET, policy],
                environment={"PYTHONPATH": _PROGRAMS},
                binds=(Bind(gateway_name(worker_id), PLACE),),
                network=self._network,
                labels=labels,
                limits=_LIMITS,
                read_only=True,
            )
        )


def gateway_name(worker_id: str) -> str:
    """Of the container and of its volume."""
    return f"gateway-{worker_id}"


def way_out(worker_id: str) -> tuple[Bind, dict[str, str]]:
    """What an agent's container needs to use the gateway: the socket, and variables that common programs know.

    The launcher of the container makes the proxy's port.
    """
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), _PROXY)
    local = {"no_proxy": _LOCAL, "NO_PROXY": _LOCAL, "NODE_USE_ENV_PROXY": "1"}
    forwarding = {"ORCHESTRATOR_EGRESS": SOCKET, "ORCHESTRATOR_EGRESS_PORT": str(_PORT)}
    return Bind(gateway_name(worker_id), PLACE, read_only=True), {**proxies, **local, **forwarding}


def own_addresses(hosts: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Public addresses of this machine too: a service that listens on one of them expects strangers, not agents."""
    found = {one.address.partition("%")[0] for every in psutil.net_if_addrs().values() for one in every
             if one.family in {socket.AF_INET, socket.AF_INET6}}  # fmt: skip
    for host in hosts:
        try:
            found |= {str(one[4][0]) for one in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
        except OSError:
            continue
    return tuple(sorted(found))
