"""`orchestrator server …`: the machines that services run on."""

import base64
import hashlib
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Annotated

import typer

from cli.client import session
from cli.terminal import inputs
from cli.terminal.exits import EPILOG
from cli.terminal.options import AsJson, ValueFile, command_group
from cli.terminal.output import Output
from cli.terminal.tables import moment
from contracts.errors import ErrorCode, OrchestratorError
from contracts.nouns import NOT_YET, PortAllocationDTO, ServerCreate, ServerDTO, ServerList
from contracts.servers.approvals import ApprovalDecision, ApprovalDTO, ApprovalList, ApprovalRequest, ServerRemoval
from contracts.servers.registry import ServerCredentialWrite
from contracts.states import ProviderKind, ServerAct, ServerKind, ServerStatus
from runtime.access_client import AccessApi

app = command_group()

Handle = Annotated[str, typer.Argument(metavar="SERVER", help="The server's handle, from `server list`.")]
Approval = Annotated[str, typer.Argument(metavar="APPROVAL", help="Its id, from `server approvals`.")]
MAX_KEY_BYTES = 4_000
_MEANING = {
    ServerAct.REINSTALL: "All data on {server} is lost, and its backups at the provider.",
    ServerAct.DESTROY: "{server} and all data on it are lost.",
    ServerAct.REMOVE: "The platform forgets {server} and what opens it; the machine stays as it is.",
}


@app.command(epilog=EPILOG)
def add(
    handle: Annotated[str, typer.Argument(metavar="SERVER", help="A name for it: letters, digits and dashes.")],
    address: Annotated[
        str, typer.Argument(metavar="[ADDRESS]", help="Its IP address or host name; a local container has none yet.")
    ] = "",
    user: Annotated[str, typer.Option(help="Who logs in over SSH.")] = "root",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where SSH answers.")] = 22,
    provider: Annotated[ProviderKind, typer.Option(help="Whose machine it is.")] = ProviderKind.STATIC,
    machine: Annotated[str, typer.Option("--machine", metavar="ID", help="The provider's id for it.")] = "",
    host_key_file: Annotated[
        Path | None, typer.Option("--host-key-file", metavar="FILE", help="Its public host key.")
    ] = None,
    managed: Annotated[
        bool, typer.Option("--managed/--not-managed", help="Whether the platform may set the machine up.")
    ] = False,
    ready: Annotated[bool, typer.Option("--ready", help="Somebody has set it up; deploy to it.")] = False,
    memory: Annotated[int, typer.Option("--memory-mb", min=0, help="Its memory.")] = 0,
    disk: Annotated[int, typer.Option("--disk-mb", min=0, help="Its disk.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Add a machine. It is used once it is ready; nothing is done to it unless it is managed and you approve."""
    keys = "" if host_key_file is None else inputs.read_file(host_key_file, "The host key", MAX_KEY_BYTES)
    is_local = provider is ProviderKind.LOCAL
    if not address and not is_local:
        raise inputs.refuse("Give the ADDRESS of the machine.")
    body = inputs.build(
        ServerCreate,
        handle=inputs.identifier(handle, "SERVER"),
        kind=ServerKind.CONTAINER if is_local else ServerKind.SSH,
        public_ip=address or NOT_YET,
        ssh_port=port,
        ssh_user=user,
        host_key=keys,
        # The platform makes such a container when something is deployed to it for the first time.
        status=ServerStatus.READY if ready or is_local else ServerStatus.PENDING_SETUP,
        ram_mb=memory,
        disk_mb=disk,
        provider=provider,
        machine_id=machine,
        managed=managed or is_local,
    )

    async def work(api: AccessApi, out: Output) -> None:
        made = await api.create_server(body)
        out.document(made)
        out.say(f"Added {made.handle} at {made.public_ip}: {made.status.value}.")
        _tell_what_is_missing(made, out)

    session.run(work, as_json=as_json)


def _tell_what_is_missing(server: ServerDTO, out: Output) -> None:
    if server.provider is ProviderKind.LOCAL:
        out.say("Its container is made when something is deployed to it for the first time.")
        return
    if not server.host_key:
        out.say("Its host key is taken at first contact, and checked ever after. To give it yourself:")
        out.advise(f"orchestrator server host-key {server.handle} FILE")
    if server.status is ServerStatus.PENDING_SETUP and not server.managed:
        out.advise(f"To let the platform set it up: orchestrator server manage {server.handle}")


@app.command("list", epilog=EPILOG)
def list_servers(as_json: AsJson = False) -> None:
    """List servers: state, address, size, and how much is on each."""

    async def work(api: AccessApi, out: Output) -> None:
        found = await api.servers()
        out.document(ServerList(items=found))
        allocations = await api.allocations()
        projects = Counter(one.server_handle for one in allocations)
        ports = Counter[str]()
        for one in allocations:
            ports[one.server_handle] += len(one.ports)
        headers = ("SERVER", "STATE", "PROVIDER", "MANAGED", "ADDRESS", "MEMORY", "DISK", "PROJECTS", "FREE PORTS")
        rows = [
            (
                one.handle, one.status.value, one.provider.value, "yes" if one.managed else "no", one.public_ip,
                _size(one.ram_mb), _size(one.disk_mb), projects[one.handle],
                one.port_to - one.port_from + 1 - ports[one.handle],
            )
            for one in found
        ]  # fmt: skip
        out.table(headers, rows, empty="No servers.")

    session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def show(handle: Handle, as_json: AsJson = False) -> None:
    """Show one server, what opens it (never the values), and what runs on it."""
    wanted = inputs.identifier(handle, "SERVER")

    async def work(api: AccessApi, out: Output) -> None:
        server = await api.server(wanted)
        out.document(server)
        if out.as_json:
            return
        out.table(("WHAT", "VALUE"), _facts(server), empty="")
        await _show_credentials(api, wanted, out)
        living = [one for one in await api.allocations() if one.server_handle == wanted]
        out.table(("PROJECT", "PORTS"), _living(living), empty="No project lives here.")

    session.run(work, as_json=as_json)


async def _show_credentials(api: AccessApi, handle: str, out: Output) -> None:
    """Their names; nothing for a member, who sees the servers of their projects."""
    try:
        names = [one.name for one in await api.server_credentials(handle)]
    except OrchestratorError as error:
        if error.code is not ErrorCode.NOT_ALLOWED:
            raise
        return
    out.say(f"Credentials: {', '.join(names) or 'none'}")


def _facts(server: ServerDTO) -> list[tuple[str, str]]:
    kept = "by the platform, at first contact" if server.host_key_pinned_by is None else "by an administrator"
    since = f", {kept}, {moment(server.host_key_pinned_at)}" if server.host_key_pinned_at else ""
    keys = "; ".join(fingerprints(server.host_key))
    facts = {
        "server": server.handle,
        "state": server.status.value,
        "provider": f"{server.provider.value} {server.machine_id}".strip(),
        "managed": "yes: the platform may set it up" if server.managed else "no: the platform only deploys to it",
        "address": server.public_ip,
        "ssh": f"{server.ssh_user}@{server.ssh_host or server.public_ip}:{server.ssh_port}",
        "host key": f"{keys}{since}" if keys else "not known yet",
        "processors": str(server.cpu_cores or "not known"),
        "memory": _size(server.ram_mb),
        "disk": _size(server.disk_mb),
        "ports": f"{server.port_from} to {server.port_to}",
        "system": server.image,
        "price": server.price,
    }
    return [(name, value) for name, value in facts.items() if value]


def fingerprints(host_key: str) -> list[str]:
    """Each key as `ssh-keygen -l` shows it."""
    found = []
    for line in host_key.splitlines():
        kind, _, text = line.partition(" ")
        digest = base64.b64encode(hashlib.sha256(base64.b64decode(text)).digest()).decode().rstrip("=")
        found.append(f"{kind} SHA256:{digest}")
    return found


def _living(allocations: list[PortAllocationDTO]) -> list[tuple[str, str]]:
    ports = defaultdict[str, list[str]](list)
    for one in allocations:
        ports[one.project_id] += [f"{port.service} {port.port}" for port in one.ports]
    return [(project, ", ".join(sorted(found))) for project, found in sorted(ports.items())]


def _size(megabytes: int) -> str:
    return "not known" if megabytes == 0 else f"{megabytes} MB" if megabytes < 1024 else f"{megabytes / 1024:.1f} GB"


@app.command(epilog=EPILOG)
def reserve(handle: Handle, as_json: AsJson = False) -> None:
    """Take a server out of the platform's reach: nobody deploys to it, sets it up or removes it."""
    wanted = inputs.identifier(handle, "SERVER")

    async def work(api: AccessApi, out: Output) -> None:
        out.document(await api.reserve_server(wanted))
        out.say(f"{wanted} is reserved: nothing is done to it.")
        out.advise(f"To give it back: orchestrator server release {wanted}")

    session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def release(handle: Handle, as_json: AsJson = False) -> None:
    """Give a reserved server back, in the state that it had."""
    wanted = inputs.identifier(handle, "SERVER")

    async def work(api: AccessApi, out: Output) -> None:
        server = await api.release_server(wanted)
        out.document(server)
        out.say(f"{wanted} is {server.status.value}.")

    session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def manage(
    handle: Handle,
    stop: Annotated[bool, typer.Option("--stop", help="The platform only deploys to it from now on.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let the platform set a machine up, and change it. What loses data still needs your approval each time."""
    wanted = inputs.identifier(handle, "SERVER")

    async def work(api: AccessApi, out: Output) -> None:
        server = await api.manage_server(wanted, managed=not stop)
        out.document(server)
        out.say(f"{wanted} is {'managed' if server.managed else 'not managed'}.")

    session.run(work, as_json=as_json)


@app.command("host-key", epilog=EPILOG)
def host_key(
    handle: Handle,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="With the machine's public host keys.")],
    as_json: AsJson = False,
) -> None:
    """Give the keys by which a machine is known. Compare them on its own console first."""
    wanted = inputs.identifier(handle, "SERVER")
    keys = inputs.read_file(file, "The host key", MAX_KEY_BYTES)

    async def work(api: AccessApi, out: Output) -> None:
        server = await api.set_host_key(wanted, keys)
        out.document(server)
        out.say(f"{wanted} is known by {'; '.join(fingerprints(server.host_key))}.")

    session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def credential(
    handle: Handle,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Such as ROOT_PASSWORD.")] = "ROOT_PASSWORD",
    value_file: ValueFile = None,
    as_json: AsJson = False,
) -> None:
    """Store what opens a server. The value is typed at a prompt, piped in or read from --value-file."""
    wanted, checked = inputs.identifier(handle, "SERVER"), inputs.secret_name(name)
    value = inputs.build(ServerCredentialWrite, value=inputs.secret_value(value_file, f"Value of {checked}")).value

    async def work(api: AccessApi, out: Output) -> None:
        out.document(await api.set_server_credential(wanted, checked, value))
        out.say(f"Stored {checked} of {wanted}. Only the platform uses it, and nobody can read it back.")

    session.run(work, as_json=as_json)


# What loses data or a machine


@app.command(epilog=EPILOG)
def plan(
    handle: Handle,
    act: Annotated[ServerAct, typer.Argument(metavar="ACT", help="`reinstall`, `destroy` or `remove`.")],
    image: Annotated[str, typer.Option(help="What to install, in the provider's word; otherwise what is there.")] = "",
    as_json: AsJson = False,
) -> None:
    """Say what an act would mean, and ask for its approval. Nothing is done yet."""
    wanted = inputs.identifier(handle, "SERVER")
    body = inputs.build(ApprovalRequest, approval_id=f"a-{inputs.request_id(None)[:8]}", act=act, image=image)

    async def work(api: AccessApi, out: Output) -> None:
        made = await api.request_approval(wanted, body)
        out.document(made)
        _show_plan(made, out)
        out.advise(f"Next: orchestrator server approve {wanted} {made.id}")

    session.run(work, as_json=as_json)


def _show_plan(approval: ApprovalDTO, out: Output) -> None:
    plan = approval.plan
    out.say(_MEANING[plan.act].format(server=plan.server_handle), style="bold")
    facts = {
        "server": f"{plan.server_handle} at {plan.public_ip}",
        "provider": f"{plan.provider.value} {plan.machine_id}".strip(),
        "to install": plan.image or ("what is there now" if plan.act is ServerAct.REINSTALL else ""),
        "price": plan.price,
        "projects on it": ", ".join(plan.projects) or "none",
        "approval": f"{approval.id}, {approval.state.value}",
        "plan": plan.hash,
    }
    out.table(("WHAT", "VALUE"), [(name, value) for name, value in facts.items() if value], empty="")


@app.command(epilog=EPILOG)
def approve(
    handle: Handle,
    approval: Approval,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    as_json: AsJson = False,
) -> None:
    """Approve a plan, as it is shown. It counts for a day, once, and for the server as it is now."""
    wanted, approval_id = inputs.identifier(handle, "SERVER"), inputs.identifier(approval, "APPROVAL")
    if not yes and (as_json or not sys.stdin.isatty()):
        raise inputs.refuse(f"This allows something that loses data or a machine: {wanted}. Add --yes to confirm.")

    async def work(api: AccessApi, out: Output) -> None:
        seen = await api.approval(wanted, approval_id)
        _show_plan(seen, out)
        if not yes and typer.prompt(f"Type {wanted} to approve") != wanted:
            raise inputs.refuse("That is another name; nothing was approved.")
        decision = ApprovalDecision(approved=True, plan_hash=seen.plan_hash)
        decided = await api.decide_approval(wanted, approval_id, decision)
        out.document(decided)
        until = "" if decided.expires_at is None else f" until {moment(decided.expires_at)}"
        out.say(f"Approved{until}.")
        if seen.plan.act is ServerAct.REMOVE:
            out.advise(f"Next: orchestrator server remove {wanted} {approval_id}")

    session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def refuse(handle: Handle, approval: Approval, as_json: AsJson = False) -> None:
    """Refuse a plan for good."""
    wanted, approval_id = inputs.identifier(handle, "SERVER"), inputs.identifier(approval, "APPROVAL")

    async def work(api: AccessApi, out: Output) -> None:
        seen = await api.approval(wanted, approval_id)
        decision = ApprovalDecision(approved=False, plan_hash=seen.plan_hash)
        out.document(await api.decide_approval(wanted, approval_id, decision))
        out.say(f"Refused: nothing is done to {wanted}.")

    session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def approvals(handle: Handle, as_json: AsJson = False) -> None:
    """List what was asked for on a server, who decided it, and what became of it."""
    wanted = inputs.identifier(handle, "SERVER")

    async def work(api: AccessApi, out: Output) -> None:
        found = await api.approvals(wanted)
        out.document(ApprovalList(items=found))
        headers = ("APPROVAL", "ACT", "STATE", "ASKED", "BY USER", "DECIDED BY", "USED")
        rows = [
            (
                one.id, one.plan.act.value, one.state.value, moment(one.requested_at),
                one.requested_by or "the platform", one.decided_by, moment(one.used_at) if one.used_at else None,
            )
            for one in found
        ]  # fmt: skip
        out.table(headers, rows, empty="Nothing was asked for.")

    session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def remove(handle: Handle, approval: Approval, as_json: AsJson = False) -> None:
    """Forget a server, by an approval to remove it. The machine itself stays as it is."""
    wanted, approval_id = inputs.identifier(handle, "SERVER"), inputs.identifier(approval, "APPROVAL")

    async def work(api: AccessApi, out: Output) -> None:
        seen = await api.approval(wanted, approval_id)
        body = ServerRemoval(approval_id=approval_id, plan_hash=seen.plan_hash)
        out.document(await api.remove_server(wanted, body))
        out.say(f"{wanted} is removed. The machine at {seen.plan.public_ip} is as it was.")

    session.run(work, as_json=as_json)
