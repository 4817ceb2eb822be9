"""A bot's screens as the API shows them."""

from collections.abc import Sequence

from api.tables import ChatScreenRow, UserRow
from api.users import replies as users
from contracts.chat import ChatScreenDTO, ChatVisit


def screen(row: ChatScreenRow) -> ChatScreenDTO:
    return ChatScreenDTO.model_validate(row.model_dump())


def visit(user: UserRow, screens: Sequence[ChatScreenRow]) -> ChatVisit:
    known = users.user(user)
    return ChatVisit(
        user_id=user.user_id, role=known.role, language=known.language, screens=[screen(row) for row in screens]
    )
