"""What a project remembers, over HTTP: who sees and edits it, and when an edit has arrived in the repository."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.support.api import Api, Headers, projection, running_api

A, B = "a" * 40, "b" * 40


@pytest_asyncio.fixture(scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(tmp_path_factory.mktemp("api")) as running:
        yield running


class Memory:
    def __init__(self, api: Api, owner: Headers, project_id: str) -> None:
        self.api, self.owner, self.project_id = api, owner, project_id
        self.url, self.internal = f"/projects/{project_id}/memory", f"/internal/projects/{project_id}/memory"

    async def shown(self) -> Any:
        reply = await self.api.http.get(self.url, headers=self.owner)
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def edit(self, text: str, status: int = 200, **fields: Any) -> Any:
        reply = await self.api.http.put(self.url, json={"text": text, **fields}, headers=self.owner)
        assert reply.status_code == status, reply.text
        return reply.json()

    async def offered(self, task_id: str) -> Any:
        reply = await self.api.http.get(self.internal, params={"task_id": task_id}, headers=self.api.platform)
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def failed(self, key: str, evidence: str) -> None:
        body = {"key": key, "what": "Checks were red", "evidence": evidence}
        reply = await self.api.http.post(f"{self.internal}/failures", json=body, headers=self.api.platform)
        assert reply.status_code == 204, reply.text

    async def publish(self, task_id: str, text: str, commit: str = A) -> None:
        body = {"task_id": task_id, "commit": commit, "text": text}
        reply = await self.api.http.put(f"{self.internal}/published", json=body, headers=self.api.platform)
        assert reply.status_code == 204, reply.text


@pytest_asyncio.fixture
async def memory(api: Api) -> Memory:
    _, owner = await api.new_user()
    return Memory(api, owner, await api.new_project(owner))


async def test_an_edit_waits_for_the_next_task_and_is_told_when_it_has_arrived(memory: Memory) -> None:
    assert await memory.shown() == {**await memory.shown(), "text": "", "pending": False}
    edited = await memory.edit("Use UTC.\n")
    assert (edited["text"], edited["pending"], edited["commit"]) == ("Use UTC.\n", True, None)
    assert (await memory.offered("t1"))["edited"] == "Use UTC.\n"
    await memory.publish("t1", "Use UTC.\n- Add books\n")
    shown = await memory.shown()
    assert (shown["text"], shown["pending"], shown["commit"]) == ("Use UTC.\n- Add books\n", False, A)
    assert (await memory.offered("t2"))["edited"] is None


async def test_an_edit_that_came_too_late_for_a_task_is_kept_for_the_next(memory: Memory) -> None:
    await memory.publish("t0", "old\n")
    await memory.offered("t1")
    await memory.edit("Ours.\n")
    await memory.publish("t1", "old\n- Add books\n", B)
    shown = await memory.shown()
    assert (shown["text"], shown["pending"]) == ("Ours.\n- Add books\n", True)


async def test_what_was_not_read_is_not_overwritten(memory: Memory) -> None:
    revision = (await memory.edit("one"))["revision"]
    await memory.edit("two", revision=revision)
    assert (await memory.edit("three", 409, revision=revision))["code"] == "CONFLICT"
    assert (await memory.shown())["text"] == "two"


async def test_failures_are_remembered_once_without_secrets_until_main_has_them(memory: Memory) -> None:
    secret = {"value": "hunter2-hunter2"}
    await memory.api.http.put(f"/projects/{memory.project_id}/secrets/KEY", json=secret, headers=memory.owner)
    for _ in range(2):
        await memory.failed("t1/a/checks", "FAILED test_it - hunter2-hunter2 is wrong\nmore")
    text = (await memory.shown())["text"]
    assert text == "## Earlier failures\n- Checks were red: `FAILED test_it - secret is wrong`\n".replace(
        "secret", " secret "
    )
    [failure] = (await memory.offered("t2"))["failures"]
    await memory.publish("t2", f"# M\n- {failure['line']}\n")
    assert (await memory.shown())["pending"] is False


async def test_a_task_that_failed_is_remembered_by_its_code_alone(memory: Memory) -> None:
    told = projection("eng-m1", memory.project_id, seq=1, state="failed", kind="engineering",
                      workflow_id="engineering/eng-m1", error_code="TESTS_FAILED", error="hostile words")  # fmt: skip
    assert (
        await memory.api.http.put("/internal/projections", json=told, headers=memory.api.platform)
    ).status_code == 200
    assert "- A task failed: TESTS_FAILED\n" in (await memory.shown())["text"]
    assert "hostile" not in (await memory.shown())["text"]


async def test_only_the_owner_edits_and_strangers_learn_nothing(memory: Memory) -> None:
    api = memory.api
    _, stranger = await api.new_user()
    assert (await api.http.get(memory.url, headers=stranger)).status_code == 404
    assert (await api.http.put(memory.url, json={"text": "x"}, headers=stranger)).status_code == 404
    await memory.edit("Use UTC.")
    reply = await api.http.get("/audit", params={"action": "memory"}, headers=api.admin)
    assert "memory.edit" in reply.text
