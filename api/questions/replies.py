"""Questions as the API shows them."""

from api.tables import QuestionRow
from contracts.questions import QuestionDTO


def question(row: QuestionRow) -> QuestionDTO:
    return QuestionDTO.model_validate(row.model_dump(exclude={"answer_id"}))
