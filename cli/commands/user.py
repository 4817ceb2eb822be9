"""`orchestrator user …`"""

import sys
from enum import StrEnum
from typing import Annotated

import typer

from cli.client import session
from cli.client.home import admin_key_holder
from cli.terminal import inputs
from cli.terminal.exits import EPILOG
from cli.terminal.options import AsJson, command_group
from cli.terminal.output import Output
from contracts.access import KeyRequest, UserRemoval, UserUpdate
from contracts.errors import ErrorCode, OrchestratorError
from contracts.nouns import UserCreate, UserCreated
from contracts.states import Role, UserState
from runtime.access_client import AccessApi

app = command_group()
_DAY_S = 86_400

UserArgument = Annotated[int, typer.Argument(metavar="USER_ID", help="The person's Telegram user id.")]
KeyDays = Annotated[
    int | None, typer.Option("--key-days", min=1, max=3660, help="For how many days the key works; otherwise for good.")
]


class PersonRole(StrEnum):
    ADMIN = "admin"
    MEMBER = "member"


@app.command(epilog=EPILOG)
def add(
    user_id: UserArgument,
    name: Annotated[str, typer.Option(help="The person's name, shown in lists.")] = "",
    role: Annotated[
        PersonRole, typer.Option(help="Members see their own projects; administrators see all.")
    ] = PersonRole.MEMBER,
    key_days: KeyDays = None,
    as_json: AsJson = False,
) -> None:
    """Add a person and print their API key. It is shown only once."""
    body = inputs.build(
        UserCreate,
        user_id=user_id,
        role=role.value,
        name=inputs.text(name, "The name", 200),
        key_ttl_s=_seconds(key_days),
    )

    async def work(api: AccessApi, out: Output) -> None:
        made = await api.create_user(body)
        out.document(made)
        out.say(f"Added user {made.user.user_id} as {made.user.role.value}.")
        _show_key(made, out)

    session.run(work, as_json=as_json)


@app.command("list", epilog=EPILOG)
def list_users(as_json: AsJson = False) -> None:
    """List people, their roles, and who is blocked."""

    async def work(api: AccessApi, out: Output) -> None:
        found = await api.users()
        out.document({"items": [item.model_dump(mode="json") for item in found]})
        rows = [(item.user_id, item.role.value, item.state.value, item.name) for item in found]
        out.table(("USER", "ROLE", "STATE", "NAME"), rows, empty="No users.")

    session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def key(
    user_id: UserArgument,
    key_days: KeyDays = None,
    keep_others: Annotated[bool, typer.Option("--keep-others", help="The keys before go on working.")] = False,
    name: Annotated[str, typer.Option(help="What the key is for, shown in lists.")] = "",
    as_json: AsJson = False,
) -> None:
    """Make a new key. The keys before end, with the logins, links and tokens that were made with them."""
    body = inputs.build(
        KeyRequest, name=inputs.text(name, "The name", 200), ttl_s=_seconds(key_days), keep_others=keep_others
    )

    async def work(api: AccessApi, out: Output) -> None:
        is_own = (await api.whoami()).actor.user_id == user_id
        made = await api.replace_key(user_id, body)
        out.document(made)
        _show_key(made, out)
        if is_own and not keep_others and (keep := admin_key_holder()) is not None:
            # Otherwise the next command on this machine would come with the key that has just ended.
            out.say(f"The new key is also in {keep(made.api_key)}, where commands on this machine find it.")

    session.run(work, as_json=as_json)


@app.command(epilog=EPILOG)
def role(
    user_id: UserArgument,
    role: Annotated[PersonRole, typer.Argument(metavar="ROLE", help="`admin` or `member`.")],
    as_json: AsJson = False,
) -> None:
    """Make a person an administrator or a member. It counts at once, also for logins that are open."""
    _change(user_id, UserUpdate(role=_role(role)), as_json=as_json)


@app.command(epilog=EPILOG)
def block(user_id: UserArgument, as_json: AsJson = False) -> None:
    """Keep a person out until `user unblock`: keys, chat, logins and agents' tokens. What runs goes on."""
    _change(user_id, UserUpdate(state=UserState.BLOCKED), as_json=as_json)


@app.command(epilog=EPILOG)
def unblock(user_id: UserArgument, as_json: AsJson = False) -> None:
    """Let a blocked person in again. Their keys work again; logins, links and tokens have to be made anew."""
    _change(user_id, UserUpdate(state=UserState.ACTIVE), as_json=as_json)


@app.command(epilog=EPILOG)
def remove(
    user_id: UserArgument,
    hand_over_to: Annotated[
        int | None, typer.Option("--hand-over-to", metavar="USER_ID", help="Who gets the person's projects.")
    ] = None,
    archive_projects: Annotated[
        bool, typer.Option("--archive-projects", help="Archive the person's projects. What is online stays online.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove a person. Without an option you are asked what becomes of their projects."""
    if hand_over_to is not None and archive_projects:
        raise inputs.refuse("Give either --hand-over-to or --archive-projects.")
    may_ask = not as_json and sys.stdin.isatty()
    if not yes:
        if not may_ask:
            raise inputs.refuse(f"This removes user {user_id} and all their keys. Add --yes to confirm.")
        typer.confirm(f"Remove user {user_id} and all their keys?", abort=True)
    body = inputs.build(UserRemoval, hand_over_to=hand_over_to, archive_projects=archive_projects)

    async def work(api: AccessApi, out: Output) -> None:
        try:
            gone = await api.remove_user(user_id, body)
        except OrchestratorError as error:
            open_choice = hand_over_to is None and not archive_projects
            if not (may_ask and open_choice and error.code is ErrorCode.CONFLICT):
                raise
            out.say(error.message)
            gone = await api.remove_user(user_id, _asked())
        out.document(gone)
        out.say(f"User {user_id} is removed. Projects handed over or archived: {len(gone.projects)}.")

    session.run(work, as_json=as_json)


def _asked() -> UserRemoval:
    answer = typer.prompt("Hand them over to which user id? (empty: archive them)", default="", show_default=False)
    if not answer.strip():
        typer.confirm("Archive them?", abort=True)
        return UserRemoval(archive_projects=True)
    if not answer.strip().isdecimal():
        raise inputs.refuse("A user id is a number, such as `orchestrator user list` shows.")
    return inputs.build(UserRemoval, hand_over_to=int(answer))


def _change(user_id: int, body: UserUpdate, *, as_json: bool) -> None:
    async def work(api: AccessApi, out: Output) -> None:
        changed = await api.update_user(user_id, body)
        out.document(changed)
        out.say(f"User {changed.user_id} is {changed.state.value}, and {changed.role.value}.")

    session.run(work, as_json=as_json)


def _role(role: PersonRole) -> Role:
    return Role(role.value)


def _seconds(days: int | None) -> int | None:
    return None if days is None else days * _DAY_S


def _show_key(made: UserCreated, out: Output) -> None:
    until = "" if made.expires_at is None else f", works until {made.expires_at:%Y-%m-%d %H:%M} UTC"
    out.say(f"API key (shown only now{until}): {made.api_key}")
    out.say("Next, in that person's shell: export ORCHESTRATOR_API_URL=<URL of this API> ORCHESTRATOR_TOKEN=<the key>")
