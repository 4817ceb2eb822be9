"""Secrets go in, and come out for the platform only."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from api.__main__ import rotate_vault_key
from contracts.errors import ErrorCode, OrchestratorError
from tests.support.api import Api, running_api


@pytest_asyncio.fixture(scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest_asyncio.fixture
async def project_id(api: Api) -> str:
    return await api.new_project(api.admin)


async def put(api: Api, project_id: str, name: str, value: str) -> None:
    reply = await api.http.put(f"/projects/{project_id}/secrets/{name}", json={"value": value}, headers=api.admin)
    assert reply.status_code == 200, reply.text
    assert value not in reply.text


async def reveal(api: Api, project_id: str, *names: str) -> dict[str, str]:
    refs = [f"secret://projects/{project_id}/{name}" for name in names]
    reply = await api.http.post("/internal/secrets/reveal", json={"refs": refs}, headers=api.platform)
    assert reply.status_code == 200, reply.text
    return {ref.rsplit("/", 1)[1]: value for ref, value in reply.json()["values"].items()}


async def generate(api: Api, project_id: str, *names: str) -> list[str]:
    url = f"/internal/projects/{project_id}/secrets/generate"
    reply = await api.http.post(url, json={"names": list(names)}, headers=api.platform)
    assert reply.status_code == 200, reply.text
    return list(reply.json()["present"])


async def everything_stored(api: Api) -> bytes:
    """Every table, as the bytes that a thief of the database would have."""
    tables = await api.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
    connection = await asyncpg.connect(api.database_url.replace("+asyncpg", "", 1))
    chunks: list[bytes] = []

    async def keep(chunk: bytes) -> None:
        chunks.append(chunk)

    try:
        for table in tables:
            await connection.copy_from_table(table["table_name"], output=keep, format="binary")
    finally:
        await connection.close()
    return b"".join(chunks)


async def test_the_database_holds_ciphertext_only_and_no_reply_shows_a_value(api: Api, project_id: str) -> None:
    value = f"plain-{uuid4().hex}"
    await put(api, project_id, "TOKEN", value)
    stored = await everything_stored(api)
    assert b"TOKEN" in stored
    assert value.encode() not in stored
    for path in (f"/projects/{project_id}/secrets", f"/projects/{project_id}", "/projects"):
        assert value not in (await api.http.get(path, headers=api.admin)).text
    assert await reveal(api, project_id, "TOKEN") == {"TOKEN": value}


async def test_a_value_may_be_any_text(api: Api, project_id: str) -> None:
    value = 'пароль "quoted" \\ \n\t 🔑 ' * 100
    await put(api, project_id, "ODD", value)
    assert await reveal(api, project_id, "ODD") == {"ODD": value}


async def test_generated_values_are_made_once_however_many_ask(api: Api, project_id: str) -> None:
    names = [f"NAME_{number}" for number in range(5)]
    await asyncio.gather(*(generate(api, project_id, *(names if n % 2 else names[::-1])) for n in range(12)))
    first = await reveal(api, project_id, *names)
    assert len(set(first.values())) == len(names)
    await generate(api, project_id, *names)
    assert await reveal(api, project_id, *names) == first


async def test_a_generated_value_never_replaces_what_a_person_gave(api: Api, project_id: str) -> None:
    await put(api, project_id, "MINE", "my own")
    assert await generate(api, project_id, "MINE", "THEIRS") == ["MINE", "THEIRS"]
    assert (await reveal(api, project_id, "MINE"))["MINE"] == "my own"
    listed = (await api.http.get(f"/projects/{project_id}/secrets", headers=api.admin)).json()["items"]
    assert {item["name"]: item["source"] for item in listed} == {"MINE": "user", "THEIRS": "generated"}
    assert listed[0]["ref"] == f"secret://projects/{project_id}/MINE"


async def test_parallel_writes_lose_nothing(api: Api, project_id: str) -> None:
    names = [f"P_{number}" for number in range(20)]
    await asyncio.gather(*(put(api, project_id, name, name.lower()) for name in names))
    assert await reveal(api, project_id, *names) == {name: name.lower() for name in names}


async def test_a_deleted_or_unknown_secret_is_said_to_be_missing(api: Api, project_id: str) -> None:
    await put(api, project_id, "GONE", "x")
    url = f"/projects/{project_id}/secrets/GONE"
    assert (await api.http.delete(url, headers=api.admin)).status_code == 204
    assert (await api.http.delete(url, headers=api.admin)).status_code == 404
    refs = {"refs": [f"secret://projects/{project_id}/GONE"]}
    reply = await api.http.post("/internal/secrets/reveal", json=refs, headers=api.platform)
    assert (reply.status_code, reply.json()["code"]) == (409, "SECRET_MISSING")
    assert (await api.http.get(f"/internal/projects/{project_id}/secrets", headers=api.platform)).json() == {
        "present": []
    }


async def test_a_ciphertext_moved_to_another_name_does_not_open(api: Api, project_id: str) -> None:
    await put(api, project_id, "FIRST", "one value")
    await put(api, project_id, "SECOND", "another value")
    await api.rows(
        "UPDATE secrets s SET ciphertext = f.ciphertext, wrapped_key = f.wrapped_key FROM secrets f "
        "WHERE s.project_id = $1 AND f.project_id = $1 AND s.name = 'SECOND' AND f.name = 'FIRST'",
        project_id,
    )
    refs = {"refs": [f"secret://projects/{project_id}/SECOND"]}
    reply = await api.http.post("/internal/secrets/reveal", json=refs, headers=api.platform)
    assert reply.status_code == 500
    assert reply.json()["code"] == "PAYLOAD_TAMPERED"
    assert "one value" not in reply.text
    await api.http.delete(f"/projects/{project_id}/secrets/SECOND", headers=api.admin)


async def test_a_new_master_key_rewraps_the_data_keys_and_leaves_the_ciphertexts(api: Api, project_id: str) -> None:
    await put(api, project_id, "KEPT", "still here")
    query = "SELECT key_id, wrapped_key, ciphertext FROM secrets WHERE project_id = $1"
    before = (await api.rows(query, project_id))[0]
    assert await rotate_vault_key(api.settings, api.database_url) >= 1
    after = (await api.rows(query, project_id))[0]
    assert after["key_id"] != before["key_id"]
    assert after["wrapped_key"] != before["wrapped_key"]
    assert after["ciphertext"] == before["ciphertext"]
    # The API that runs learns of the new key by itself.
    assert await reveal(api, project_id, "KEPT") == {"KEPT": "still here"}


async def test_what_opens_servers_is_rewrapped_with_the_rest(api: Api) -> None:
    place, value = "/servers/local/credentials/ROOT_PASSWORD", {"value": "opens it"}
    assert (await api.http.put(place, json=value, headers=api.admin)).status_code == 200
    query = "SELECT key_id, ciphertext FROM server_credentials"
    before = (await api.rows(query))[0]
    await rotate_vault_key(api.settings, api.database_url)
    after = (await api.rows(query))[0]
    assert (after["key_id"] != before["key_id"], after["ciphertext"]) == (True, before["ciphertext"])
    assert (await api.http.post(f"/internal{place}/reveal", headers=api.platform)).json() == value


async def test_a_stored_secret_answers_the_questions_that_wait_for_it(api: Api, project_id: str) -> None:
    task_id = await api.new_task(project_id)
    question_id = await api.new_question(task_id, project_id, kind="secret", secret_names=["A_KEY", "B_KEY"])
    api.gateway.answers.clear()
    await put(api, project_id, "A_KEY", "first value")
    assert api.gateway.answers == []
    await put(api, project_id, "B_KEY", "second value")
    [(workflow_id, command, update_id)] = api.gateway.answers
    assert (workflow_id, command.question_id) == (f"engineering/{task_id}", question_id)
    assert command.secret_stored
    assert "value" not in command.text
    await put(api, project_id, "B_KEY", "third value")
    assert [answer[2] for answer in api.gateway.answers] == [update_id]


async def test_a_workflow_that_cannot_be_told_does_not_lose_the_secret(api: Api, project_id: str) -> None:
    task_id = await api.new_task(project_id)
    question_id = await api.new_question(task_id, project_id, kind="secret", secret_names=["A_KEY"])
    api.gateway.answers.clear()
    api.gateway.refusal = OrchestratorError(ErrorCode.TEMPORAL_UNREACHABLE, "Temporal is away.")
    url = f"/projects/{project_id}/secrets/A_KEY"
    reply = await api.http.put(url, json={"value": "kept"}, headers=api.admin)
    api.gateway.refusal = None
    assert reply.status_code == 200
    assert reply.headers["X-Unanswered-Questions"] == question_id
    assert await reveal(api, project_id, "A_KEY") == {"A_KEY": "kept"}
    await put(api, project_id, "A_KEY", "again")
    assert len(api.gateway.answers) == 1


@pytest.mark.parametrize("value", ["", "x" * 65_537])
async def test_an_empty_or_huge_value_is_refused(api: Api, project_id: str, value: str) -> None:
    url = f"/projects/{project_id}/secrets/NAME"
    assert (await api.http.put(url, json={"value": value}, headers=api.admin)).status_code == 422
