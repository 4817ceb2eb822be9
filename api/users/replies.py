"""Users as the API shows them."""

from api.auth import Caller
from api.tables import UserRow
from contracts.nouns import UserDTO, WhoAmI


def user(row: UserRow) -> UserDTO:
    return UserDTO.model_validate(row.model_dump())


def whoami(caller: Caller, row: UserRow | None) -> WhoAmI:
    return WhoAmI(
        actor=caller.actor,
        project_id=caller.project_id,
        commands=None if caller.commands is None else sorted(caller.commands),
        language=user(row).language if row is not None else None,
    )
