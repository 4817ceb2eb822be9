"""Tests of a resource and of its pages, with values that are sent and those that are expected."""

from collections.abc import Callable, Mapping

from ..reading.wish import Entity, Field

PAGES_TEST = """from fastapi.testclient import TestClient

PATH = "/{path}"
PAGE = "/pages/{path}"
SENT = {{
{samples}
}}
OTHER = {{
{others}
}}
REQUIRED: list[str] = [
{required}
]


def test_what_a_form_sends_is_stored_changed_and_deleted(client: TestClient) -> None:
    assert client.post(PAGE, data=SENT).status_code == 200
    [first] = client.get(PATH).json()
    one = f"{{PAGE}}/{{first['id']}}"
    assert client.get(one).status_code == 200
    assert client.post(one, data=OTHER).status_code == 200
    [second] = client.get(PATH).json()
    assert second["id"] == first["id"]
    assert second != first
    assert client.post(f"{{one}}/delete").status_code == 200
    assert client.get(PATH).json() == []


def test_a_form_without_what_is_required_says_so_and_stores_nothing(client: TestClient) -> None:
    answer = client.post(PAGE, data={{}})
    assert answer.status_code == (422 if REQUIRED else 200)
    assert len(client.get(PATH).json()) == (0 if REQUIRED else 1)
"""

HIDDEN = """HIDDEN: list[str] = [
{hidden}
]


def seen(values: dict[str, object]) -> dict[str, object]:
    return {{name: value for name, value in values.items() if name not in HIDDEN}}


@pytest.mark.parametrize("name", HIDDEN)
def test_a_password_is_stored_as_a_hash_and_never_returned(client: TestClient, name: str) -> None:
    assert passwords.matches("a password", passwords.hashed("a password"))
    assert not passwords.matches("another", passwords.hashed("a password"))
    created = client.post(PATH, json=SENT)
    one = f"{{PATH}}/{{created.json()['id']}}"
    changed = client.patch(one, json={{name: OTHER[name]}})
    for answer in (created, changed, client.get(one), client.get(PATH)):
        assert f'"{{name}}"' not in answer.text
        assert "scrypt" not in answer.text
"""

TESTS = """import pytest
from fastapi.testclient import TestClient
{passwords}
PATH = "/{path}"
SENT = {{
{samples}
}}
OTHER = {{
{others}
}}
REQUIRED: list[str] = [
{required}
]
{hiding}

def test_a_created_one_can_be_read_and_listed(client: TestClient) -> None:
    answer = client.post(PATH, json=SENT)
    assert answer.status_code == 201
    created = answer.json()
    assert created == {{"id": created["id"], **{sent}}}
    assert client.get(f"{{PATH}}/{{created['id']}}").json() == created
    assert client.get(PATH).json() == [created]


@pytest.mark.parametrize("name", SENT)
def test_one_field_changes_and_the_others_stay(client: TestClient, name: str) -> None:
    created = client.post(PATH, json=SENT).json()
    answer = client.patch(f"{{PATH}}/{{created['id']}}", json={{name: OTHER[name]}})
    assert answer.status_code == 200
    assert answer.json() == {{**created, {change}}}


def test_one_is_replaced(client: TestClient) -> None:
    created = client.post(PATH, json=SENT).json()
    answer = client.put(f"{{PATH}}/{{created['id']}}", json=OTHER)
    assert answer.json() == {{"id": created["id"], **{other}}}
    assert client.get(f"{{PATH}}/{{created['id']}}").json() == answer.json()


def test_a_deleted_one_is_gone_and_the_others_stay(client: TestClient) -> None:
    created = client.post(PATH, json=SENT).json()
    kept = client.post(PATH, json=OTHER).json()
    assert client.delete(f"{{PATH}}/{{created['id']}}").status_code == 204
    assert client.get(f"{{PATH}}/{{created['id']}}").status_code == 404
    assert client.get(PATH).json() == [kept]


@pytest.mark.parametrize("row_id", [0, 999_999, 2**70])
def test_an_unknown_one_answers_404(client: TestClient, row_id: int) -> None:
    assert client.get(f"{{PATH}}/{{row_id}}").status_code == 404
    assert client.put(f"{{PATH}}/{{row_id}}", json=SENT).status_code == 404
    assert client.patch(f"{{PATH}}/{{row_id}}", json=SENT).status_code == 404
    assert client.delete(f"{{PATH}}/{{row_id}}").status_code == 404


@pytest.mark.parametrize("name", SENT)
def test_a_field_of_a_wrong_type_answers_422(client: TestClient, name: str) -> None:
    answer = client.post(PATH, json={{**SENT, name: {{"not": "valid"}}}})
    assert answer.status_code == 422
    assert client.get(PATH).json() == []


@pytest.mark.parametrize("name", REQUIRED)
def test_a_required_field_is_neither_left_out_nor_null(client: TestClient, name: str) -> None:
    without = {{key: value for key, value in SENT.items() if key != name}}
    assert client.post(PATH, json=without).status_code == 422
    created = client.post(PATH, json=SENT).json()
    assert client.patch(f"{{PATH}}/{{created['id']}}", json={{name: None}}).status_code == 422
"""


def with_samples(code: str, entity: Entity, sample: Callable[[Field, bool], str | None]) -> str:
    def lines(first: bool) -> str:
        values = [(one.name, sample(one, first)) for one in entity.fields]
        return "\n".join(f'    "{name}": {value},' for name, value in values if value is not None)

    required = "\n".join(f'    "{one.name}",' for one in entity.fields if one.required)
    filled = code.format(
        path=entity.path, samples=lines(True), others=lines(False), required=required, **_hiding(entity)
    )
    return filled.replace("REQUIRED: list[str] = [\n\n]", "REQUIRED: list[str] = []")


def _hiding(entity: Entity) -> dict[str, str]:
    """What tests know of fields that are sent and not returned."""
    hidden = "\n".join(f'    "{one.name}",' for one in entity.fields if one.type == "password")
    if not hidden:
        return {"passwords": "", "hiding": "", "sent": "SENT", "other": "OTHER", "change": "name: OTHER[name]"}
    return {
        "passwords": "\nfrom services.backend import passwords\n",
        "hiding": HIDDEN.format(hidden=hidden),
        "sent": "seen(SENT)",
        "other": "seen(OTHER)",
        "change": "**seen({name: OTHER[name]})",
    }


def sent(field: Field, first: bool) -> str:
    samples: Mapping[str, tuple[str, str]] = {
        "string": ('"first"', '"second"'), "password": ('"one of many"', '"another"'),
        "text": ('"first\\nline"', '"second\\nline"'),
        "integer": ("1", "-2"), "number": ("1.5", "-2.25"), "boolean": ("True", "False"),
        "date": ('"2026-01-31"', '"2024-02-29"'), "datetime": ('"2026-01-31T12:30:00Z"', '"2024-02-29T00:00:00Z"'),
    }  # fmt: skip
    return samples[field.type][0 if first else 1]


def typed(field: Field, first: bool) -> str | None:
    """The sample as a form sends it; None is a box that is not checked, which forms leave out."""
    if field.type == "boolean":
        return '"on"' if first else None
    value = sent(field, first).replace("Z", "")
    return value if value.startswith('"') else f'"{value}"'
