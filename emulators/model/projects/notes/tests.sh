set -e
mkdir -p tests/backend
cat > tests/backend/test_notes.py <<'END_OF_FILE'
import pytest
from fastapi.testclient import TestClient

PATH = "/notes"
SENT = {
    "title": "first",
    "text": "first\nline",
}
OTHER = {
    "title": "second",
    "text": "second\nline",
}
REQUIRED: list[str] = [
    "title",
    "text",
]


def test_a_created_one_can_be_read_and_listed(client: TestClient) -> None:
    answer = client.post(PATH, json=SENT)
    assert answer.status_code == 201
    created = answer.json()
    assert created == {"id": created["id"], **SENT}
    assert client.get(f"{PATH}/{created['id']}").json() == created
    assert client.get(PATH).json() == [created]


@pytest.mark.parametrize("name", SENT)
def test_one_field_changes_and_the_others_stay(client: TestClient, name: str) -> None:
    created = client.post(PATH, json=SENT).json()
    answer = client.patch(f"{PATH}/{created['id']}", json={name: OTHER[name]})
    assert answer.status_code == 200
    assert answer.json() == {**created, name: OTHER[name]}


def test_one_is_replaced(client: TestClient) -> None:
    created = client.post(PATH, json=SENT).json()
    answer = client.put(f"{PATH}/{created['id']}", json=OTHER)
    assert answer.json() == {"id": created["id"], **OTHER}
    assert client.get(f"{PATH}/{created['id']}").json() == answer.json()


def test_a_deleted_one_is_gone_and_the_others_stay(client: TestClient) -> None:
    created = client.post(PATH, json=SENT).json()
    kept = client.post(PATH, json=OTHER).json()
    assert client.delete(f"{PATH}/{created['id']}").status_code == 204
    assert client.get(f"{PATH}/{created['id']}").status_code == 404
    assert client.get(PATH).json() == [kept]


@pytest.mark.parametrize("row_id", [0, 999_999, 2**70])
def test_an_unknown_one_answers_404(client: TestClient, row_id: int) -> None:
    assert client.get(f"{PATH}/{row_id}").status_code == 404
    assert client.put(f"{PATH}/{row_id}", json=SENT).status_code == 404
    assert client.patch(f"{PATH}/{row_id}", json=SENT).status_code == 404
    assert client.delete(f"{PATH}/{row_id}").status_code == 404


@pytest.mark.parametrize("name", SENT)
def test_a_field_of_a_wrong_type_answers_422(client: TestClient, name: str) -> None:
    answer = client.post(PATH, json={**SENT, name: {"not": "valid"}})
    assert answer.status_code == 422
    assert client.get(PATH).json() == []


@pytest.mark.parametrize("name", REQUIRED)
def test_a_required_field_is_neither_left_out_nor_null(client: TestClient, name: str) -> None:
    without = {key: value for key, value in SENT.items() if key != name}
    assert client.post(PATH, json=without).status_code == 422
    created = client.post(PATH, json=SENT).json()
    assert client.patch(f"{PATH}/{created['id']}", json={name: None}).status_code == 422
END_OF_FILE
mkdir -p services/backend/migrations/versions
cat > services/backend/migrations/versions/0001_note.py <<'END_OF_FILE'
"""Create notes."""

import sqlalchemy as sa
from alembic import op

revision = "0001_note"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "notes",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("title", sa.String(10_000), nullable=False),
        sa.Column("text", sa.String(1_000_000), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("notes")
END_OF_FILE
