"""Questions as the API shows them."""

from api.tables import QuestionRow
from contracts.questions import QuestionDTO


def question(row: QuestionRow) -> QuestionDTO:
    columns = row.model_dump(exclude={"answer_id", "subject_kind", "subject_id"})
    return QuestionDTO.model_validate({**columns, "subject": row.subject})
