"""docker-compose.yml from nothing: the main job through it, and what survives `down` and `up`.

The stack is one for the module: a further test, such as one that talks to the bot in it, only adds its profile.
"""

import base64
import json
import shlex
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from activities.adapters.containers import command as docker
from contracts.ids import turn_name
from emulators.telegram.server import serving
from emulators.telegram.telegram import Telegram
from tests.compose.stack import MODEL_KEY, ComposeStack, no_compose, running_compose
from tests.integration.infra.dangerous_calls import dangerous_requests
from tests.support.eventually import eventually
from tests.support.people.chat import ChatUser, link
from tests.support.services import engine

# The first run on a machine builds five images.
pytestmark = [pytest.mark.timeout(1800), pytest.mark.deep]

WISH = "Make a notes service: title, text, done:bool"
WHO_IS_THERE = """
import socket, sys
for name in sys.argv[1:]:
    try:
        socket.gethostbyname(name)
    except OSError:
        continue
    print(name)
"""
TRY_CALLS = """
import base64, socket, sys
for one in sys.argv[1:]:
    with socket.create_connection(("engine-proxy", 2375), 10) as proxy:
        proxy.sendall(base64.b64decode(one))
        said = b""
        while chunk := proxy.recv(65536):
            said += chunk
    print("refused" if b"refused by the engine proxy" in said else said[:200])
"""
SECRET = "value-of-the-secret-that-nobody-prints"


@pytest.fixture(scope="module")
async def compose(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ComposeStack]:
    problem = no_compose()
    if problem is not None:
        pytest.skip(problem)
    with engine.in_use():
        async with running_compose(tmp_path_factory.mktemp("compose")) as stack:
            yield stack


async def test_a_sentence_becomes_a_url_and_everything_survives_down_and_up(compose: ComposeStack) -> None:
    notes = await compose.orchestrator("project", "create", "notes")
    async with compose.http() as http:
        health = (await http.get("/health")).json()
        assert (health["status"], health["version"].rpartition("+")[2]) == ("ok", "test")
        started = await begun(http, "deliveries", notes["id"], WISH)
        waiting = await open_question(compose, http)
        task = await compose.finished(http, started)
        assert task["state"] == "completed", task
        url = str(task["result"]["deployed_url"])
        assert url.startswith(f"http://{compose.host}:{compose.service_port}"), url
        await written(url)
        stored = await http.put(f"/projects/{notes['id']}/secrets/PAYMENT_KEY", json={"value": SECRET})
        assert stored.status_code == 200, stored.text
        before = await secret_names(http, notes["id"])
        assert "PAYMENT_KEY" in before

    await compose.compose("down", timeout_s=120)
    assert await compose.containers() == {}
    await compose.up()

    async with compose.http() as http:
        assert (await compose.orchestrator("project", "show", "notes"))["project"]["id"] == notes["id"]
        await eventually(lambda: is_kept(url), 60, interval=0.5, message=f"{url} serves what was written before")
        assert await secret_names(http, notes["id"]) == before
        asked = await compose.question(http, waiting["subject"]["id"])
        assert asked == waiting
        answer = {"answer_id": uuid4().hex, "text": "books: title, author"}
        accepted = await http.post(f"/questions/{asked['id']}/answer", json=answer)
        assert accepted.status_code in {200, 202}, accepted.text
        ended = await compose.finished(http, asked["task_id"])
        assert ended["state"] == "completed", ended
    said = await compose.compose(
        "run", "--rm", "--no-deps", "--entrypoint", "python", "bootstrap", "-m", "api", "rotate-vault-key"
    )
    assert f"Re-encrypted the keys of {len(before)} secrets" in said


async def test_a_message_in_a_chat_becomes_a_url(compose: ComposeStack) -> None:
    telegram = Telegram(token="454545:EMULATOR-token-of-the-compose-bot")
    async with serving(telegram, host=compose.host) as url:
        await compose.start_bot(telegram.token, url)
        admin = ChatUser(telegram.account(1, language="ru", name="Админ").id, telegram)
        admin.say("Сделай сервис заметок: title, text")
        accepted = await admin.sees("Принято", timeout=30)
        done = await admin.sees("Готово: zametok", timeout=400)
        assert done.id == accepted.id
        await written(link(done))
        await compose.compose("--profile", "bot", "rm", "--stop", "--force", "bot")


async def test_a_real_agent_reaches_the_model_by_the_socket_in_the_volume_and_nothing_else(
    compose: ComposeStack,
) -> None:
    """The first turn on a machine builds the agent's image."""
    worker = (await compose.orchestrator("worker", "create", "probe", "--agent", "claude-code"))["id"]
    look = "grep ' /model ' /proc/mounts; ls /model /sys/class/net; env"
    sent = await compose.orchestrator("worker", "send", worker, f"[model:run {look}]", timeout_s=900)
    assert sent["response"]["success"], sent
    seen = json.loads(await docker.run("inspect", turn_name(worker, 1)))[0]
    mounts = {mount["Destination"]: (mount.get("Name"), mount["RW"]) for mount in seen["Mounts"]}
    assert mounts["/model"] == (f"codegen-orchestrator-models-{compose.name}", False), mounts
    assert seen["HostConfig"]["NetworkMode"] == "none"
    logs = await docker.run("logs", turn_name(worker, 1))
    assert " /model " in logs, logs
    assert MODEL_KEY not in f"{seen}{logs}"
    assert {one.key for one in compose.model.records.requests} == {MODEL_KEY}
    await compose.orchestrator("worker", "delete", worker)


async def test_a_sentence_becomes_a_url_by_a_real_agent(compose: ComposeStack) -> None:
    notes = await compose.orchestrator("project", "create", "by-claude")
    async with compose.http() as http:
        wish = "Make a notes service: title, text [model:scenario notes]"
        before = compose.model.records.billed()["total"]
        started = await begun(http, "deliveries", notes["id"], wish, agent="claude-code")
        task = await compose.finished(http, started, timeout_s=900)
        assert task["state"] == "completed", task
        await written(str(task["result"]["deployed_url"]))
        spent = (await http.get("/costs", params={"by": "project"})).json()
    billed = {name: count - before[name] for name, count in compose.model.records.billed()["total"].items()}
    [line] = [one for one in spent["items"] if one["key"] == notes["id"]]
    assert {name: line[name] for name in billed} == billed
    assert line["unknown_requests"] == 0


async def test_the_web_ui_is_behind_the_login_of_the_api(compose: ComposeStack) -> None:
    page = {"Accept": "text/html"}
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{compose.api_port}", trust_env=False, timeout=30
    ) as browser:
        assert (await browser.get("/temporal/namespaces/default/workflows", headers=page)).status_code == 401
        ticket = (await compose.orchestrator("web-ui"))["url"]
        # The public address of the settings, which a published port stands in for.
        login = httpx.URL(ticket).copy_with(scheme="http", host="127.0.0.1", port=compose.api_port)
        assert (await browser.get(login, headers=page)).status_code == 200
        form = {"ticket": login.params["ticket"]}
        assert (await browser.post("/ui-login", data=form, headers=page)).status_code == 303
        shown = await browser.get("/temporal/api/v1/namespaces/default/workflows")
        assert shown.status_code == 200, shown.text


@pytest.mark.parametrize(
    ("part", "keys"),
    [
        ("worker-orchestrator", {"api-service.key", "payload.json"}),
        ("worker-agents", {"api-service.key", "payload.json"}),
        ("worker-infra", {"api-service.key", "payload.json", "server"}),
        ("model-proxy", {"vault.json"}),
    ],
)
async def test_each_part_has_the_keys_that_it_needs_and_no_other(
    compose: ComposeStack, part: str, keys: set[str]
) -> None:
    found = await compose.compose("exec", "-T", part, "ls", "/var/lib/orchestrator/keys")
    assert set(found.split()) == keys


@pytest.mark.parametrize("part", ["api", "worker-orchestrator", "worker-agents", "worker-infra", "model-proxy"])
async def test_no_part_of_the_platform_is_root_or_reaches_the_engine(compose: ComposeStack, part: str) -> None:
    status = await compose.compose("exec", "-T", part, "sh", "-c", "id -u; grep -E 'CapEff|CapBnd' /proc/self/status")
    assert status.split() == ["10001", "CapEff:", "0" * 16, "CapBnd:", "0" * 16]
    mounts = await docker.run("inspect", "--format", "{{json .Mounts}}", compose.container(part))
    assert "docker.sock" not in mounts


@pytest.mark.parametrize(
    ("part", "reachable", "hidden"),
    [
        ("worker-orchestrator", {"api", "temporal"}, {"postgres", "engine-proxy", "server"}),
        ("worker-agents", {"api", "temporal", "engine-proxy"}, {"postgres", "server"}),
        ("worker-infra", {"api", "temporal", "server"}, {"postgres", "engine-proxy"}),
        ("api", {"temporal", "postgres"}, {"engine-proxy", "server", "model-proxy"}),
        ("model-proxy", {"postgres"}, {"api", "temporal", "engine-proxy", "server"}),
        ("server", {"worker-infra"}, {"api", "temporal", "postgres", "engine-proxy"}),
    ],
)
async def test_each_part_reaches_only_what_it_talks_to(
    compose: ComposeStack, part: str, reachable: set[str], hidden: set[str]
) -> None:
    found = await compose.compose("exec", "-T", part, "python3", "-c", WHO_IS_THERE, *sorted(reachable | hidden))
    assert set(found.split()) == reachable


async def test_whoever_has_the_agents_worker_is_not_root_on_the_machine(compose: ComposeStack) -> None:
    calls = [base64.b64encode(call).decode() for call in dangerous_requests().values() if len(call) < 50_000]
    said = await compose.compose("exec", "-T", "worker-agents", "python3", "-c", TRY_CALLS, *calls)
    assert said.split() == ["refused"] * len(calls)


async def test_status_and_doctor_tell_the_truth_in_a_container(compose: ComposeStack) -> None:
    status = await compose.orchestrator("status")
    assert (status["well"], {name: part["trouble"] for name, part in status["parts"].items()}) == (
        True,
        dict.fromkeys(("postgres", "temporal", "api", "workers", "model-proxy")),
    )
    doctor = await compose.orchestrator("doctor")
    assert doctor["healthy"], doctor
    found = {finding["part"]: finding["found"] for finding in doctor["findings"]}
    assert found["Model proxy"] == "reachable"
    [advice] = [finding["advice"] for finding in doctor["findings"] if finding["part"] == "model key"]
    command = shlex.split(advice.partition("docker-compose ")[2])
    accounts = json.loads(await compose.compose(command[0], "-T", *command[1:]))["accounts"]
    assert (accounts["anthropic"]["key"], accounts["anthropic"]["check"]["verdict"]) == (True, "taken"), accounts
    assert accounts["openai"]["key"] is False


async def test_a_worker_that_hangs_is_unhealthy_and_started_again(compose: ComposeStack) -> None:
    name = compose.container("worker-infra")
    before = await docker.run("inspect", "--format", "{{.State.StartedAt}}", name)
    # The first process is `init`; the worker is its child.
    await docker.run("exec", name, "sh", "-c", "kill -STOP $(cat /tmp/ready)")

    async def is_new() -> bool:
        started = await docker.run("inspect", "--format", "{{.State.StartedAt}}", name)
        return started != before and "(healthy)" in (await compose.containers()).get(name, "")

    _: bool = await eventually(is_new, 180, interval=1.0, message="another Temporal worker")


async def test_a_repository_is_cloned_through_the_published_port(compose: ComposeStack) -> None:
    project = (await compose.orchestrator("project", "show", "notes"))["project"]
    async with compose.http() as http:
        path = httpx.URL(project["clone_url"]).path
        reply = await http.get(f"{path}/info/refs", params={"service": "git-upload-pack"})
    assert (reply.status_code, b"refs/heads/main" in reply.content) == (200, True)


async def secret_names(http: httpx.AsyncClient, project_id: str) -> list[str]:
    return [one["name"] for one in (await http.get(f"/projects/{project_id}/secrets")).json()["items"]]


async def open_question(compose: ComposeStack, http: httpx.AsyncClient) -> dict[str, Any]:
    """Work that waits for a person: a sentence which the script does not understand."""
    made = await compose.orchestrator("project", "create", "unclear")
    await begun(http, "engineering", made["id"], "Something beautiful, like last time")
    return await compose.question(http, made["id"])


async def begun(http: httpx.AsyncClient, kind: str, project_id: str, wish: str, **chosen: str) -> str:
    body = {"request_id": uuid4().hex, "project_id": project_id, "wish": wish, **chosen}
    reply = await http.post(f"/{kind}", json=body)
    assert reply.status_code in {200, 201, 202}, reply.text
    return str(reply.json()["task_id"])


async def written(url: str) -> None:
    """A note, through the service's own API from outside."""
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as service:
        reply = await service.post("/notes", json={"title": "kept", "text": "over down and up"})
        assert reply.status_code in {200, 201}, reply.text


async def is_kept(url: str) -> bool:
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=5) as service:
        try:
            return "over down and up" in (await service.get("/notes")).text
        except httpx.HTTPError:
            return False
