"""The scripted agent works in a generated project, and what it leaves is judged from outside."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from hashlib import sha256
from pathlib import Path

import httpx
import psutil
import pytest
import yaml

from tests.support.eventually import eventually
from tests.support.patience import patience
from tests.support.services.generated_project import (
    AGENT,
    Environments,
    Service,
    bot_api,
    git,
    repository,
    running,
)

pytestmark = pytest.mark.timeout(400)

PRODUCTION = {"APP_ENV": "production", "ADMIN_TOKEN": "token"}
STREAM = ("--output-format", "stream-json", "--verbose")


@pytest.fixture(scope="module")
def environments(request: pytest.FixtureRequest) -> Environments:
    return Environments(request.config.cache.mkdir("service-environments"))


class Workspace:
    """A generated project in which the agent takes turns."""

    def __init__(self, folder: Path, modules: str, environments: Environments) -> None:
        self.folder = folder
        self.project = repository(folder / "project", modules)
        self.environments = environments

    @property
    def python(self) -> str:
        self.make("setup")
        return self.environments.python(self.project)

    @property
    def env(self) -> dict[str, str]:
        home = {"HOME": str(self.folder), "CLAUDE_CONFIG_DIR": str(self.folder / "config")}
        return {"PATH": os.environ["PATH"], **home, "ORCHESTRATOR_OUTCOME": str(self.folder / "outcome.json")}

    def command(self, prompt: str, *arguments: str) -> list[str]:
        return [sys.executable, "-I", "-S", str(AGENT), "-p", prompt, *STREAM, *arguments]

    def task(self, sentence: str, spec: Mapping[str, object] | None = None) -> None:
        block = f"\n```json\n{json.dumps(spec)}\n```\n" if spec is not None else "\n"
        (self.project / "TASK.md").write_text(f"# Task\n\n{sentence}\n{block}")

    def turn(self, prompt: str = "Do what TASK.md says", *arguments: str) -> dict[str, object]:
        (self.folder / "outcome.json").unlink(missing_ok=True)
        done = subprocess.run(
            self.command(prompt, *arguments),
            cwd=self.project, env=self.env, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        return {**json.loads((self.folder / "outcome.json").read_text()), "exit": done.returncode}

    def commits(self) -> int:
        return int(git(self.project, "rev-list", "--count", "main..work"))

    def make(self, *targets: str) -> "subprocess.CompletedProcess[str]":
        return self.environments.make(self.project, *targets)

    def bot(self, api_url: str) -> AbstractContextManager[Service]:
        env = {"TELEGRAM_BOT_TOKEN": "42:TEST", "TELEGRAM_API_BASE": api_url}
        return running(self.python, self.project, "tg_bot", self.folder / "data", env)

    def passes(self) -> None:
        made = self.make("check", "test")
        assert made.returncode == 0, made.stdout + made.stderr
        assert git(self.project, "status", "--porcelain") == ""


@pytest.fixture
def backend(tmp_path: Path, environments: Environments) -> Workspace:
    return Workspace(tmp_path, "backend", environments)


@pytest.fixture
def pages(tmp_path: Path, environments: Environments) -> Workspace:
    return Workspace(tmp_path, "backend,web", environments)


@pytest.fixture
def both(tmp_path: Path, environments: Environments) -> Workspace:
    return Workspace(tmp_path, "backend,tg_bot", environments)


def check_resource(client: httpx.Client, path: str, sent: Mapping[str, object], other: Mapping[str, object]) -> None:
    created = client.post(path, json=sent)
    assert (created.status_code, created.json()) == (201, {"id": created.json()["id"], **sent})
    one = f"{path}/{created.json()['id']}"
    assert client.get(one).json() == created.json()
    assert created.json() in client.get(path).json()
    assert client.put(one, json=other).json() == {"id": created.json()["id"], **other}
    assert client.patch(one, json={}).json() == {"id": created.json()["id"], **other}
    assert client.post(path, json={}).status_code == 422
    assert client.post(path, content=b"not json").status_code == 422
    assert client.delete(one).status_code == 204
    assert [client.get(one).status_code, client.put(one, json=sent).status_code, client.delete(one).status_code] == [
        404
    ] * 3


def test_a_sentence_becomes_a_service_that_behaves(pages: Workspace) -> None:
    pages.task("Сделай сервис заметок: title, text")
    outcome = pages.turn()
    assert (outcome["status"], outcome["exit"], pages.commits()) == ("done", 0, 1)
    assert git(pages.project, "show", "--name-only", "--format=").splitlines() == sorted(outcome["files"])  # type: ignore[arg-type] # JSON
    pages.passes()
    with running(pages.python, pages.project, "backend", pages.folder / "data") as service:
        service.wait_until_it_answers()
        check_resource(service.client, "/notes", {"title": "a", "text": "b"}, {"title": "c", "text": ""})
        check_pages(service.client, "/pages/notes")


def check_pages(client: httpx.Client, address: str) -> None:
    """A person without scripts adds, sees, changes and deletes one."""
    assert f'href="{address}"' in client.get("/").text
    sent = client.post(address, data={"title": "<b>bold</b>", "text": "one\r\ntwo"}, follow_redirects=True)
    assert "&lt;b&gt;bold&lt;/b&gt;" in sent.text
    one = re.findall(rf'href="({address}/\d+)"', sent.text)[-1]
    assert "one\ntwo</textarea>" in client.get(one).text
    wrong = client.post(one, data={"title": "kept by the form"})
    assert (wrong.status_code, "kept by the form" in wrong.text) == (422, True)
    changed = client.post(one, data={"title": "plain", "text": "x"}, follow_redirects=True)
    assert "<td>plain</td>" in changed.text
    assert client.post(one, data={"title": "t"}, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert one not in client.post(f"{one}/delete", follow_redirects=True).text


def test_a_second_turn_finds_everything_done_and_commits_nothing(backend: Workspace) -> None:
    backend.task("Make a notes service: title, text")
    backend.turn()
    outcome = backend.turn()
    assert (outcome["status"], backend.commits()) == ("done", 1)
    assert "nothing to commit" in str(outcome["summary"])


def test_what_a_killed_turn_wrote_is_committed_by_the_next(backend: Workspace) -> None:
    backend.task("Make a notes service: title, text")
    backend.turn()
    git(backend.project, "reset", "--quiet", "--soft", "main")
    git(backend.project, "reset", "--quiet")
    assert len(backend.turn()["files"]) == 5  # type: ignore[arg-type] # JSON
    assert (backend.commits(), git(backend.project, "status", "--porcelain")) == (1, "")


@pytest.mark.deep
def test_every_type_and_awkward_name_passes_the_checks_and_survives_hard_values(backend: Workspace) -> None:
    names = {
        "order": ["group", "select", "date", "str", "datetime", "string", "database", "connection", "status", "type"],
        "field": ["n" * 40], "table": ["Any"], "status": ["body"], "basemodel": ["router"], "x" * 40: ["y" * 40],
    }  # fmt: skip
    types = ["string", "text", "integer", "number", "boolean", "date", "datetime"]
    data = [
        {
            "name": name,
            "fields": [
                {"name": field, "type": types[index % 7], "required": required}
                for index, (field, required) in enumerate(
                    [(f, True) for f in fields] + [(f"opt_{t}", False) for t in types]
                )
            ],
        }
        for name, fields in names.items()
    ]
    backend.task("many", {"version": "1", "name": "x", "description": "many", "modules": ["backend"], "data": data})
    outcome = backend.turn()
    assert outcome["status"] == "done", outcome
    backend.passes()


@pytest.mark.parametrize("value", [2**63, 2**70, float("inf"), "\ud800", None, True, [], {}])
def test_a_hard_value_never_ends_in_a_server_error(notes_service: httpx.Client, value: object) -> None:
    for field in ("title", "count", "price"):
        body = json.dumps({"title": "t", "count": 1, "price": 1.0, field: value})
        answer = notes_service.post("/notes", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (201, 422)


@pytest.fixture(scope="module")
def notes_service(tmp_path_factory: pytest.TempPathFactory, environments: Environments):
    workspace = Workspace(tmp_path_factory.mktemp("notes"), "backend", environments)
    workspace.task("Make a notes service: title, count:int, price:number")
    workspace.turn()
    with running(workspace.python, workspace.project, "backend", workspace.folder / "data") as service:
        service.wait_until_it_answers()
        yield service.client


def test_a_later_wish_adds_fields_and_keeps_rows(backend: Workspace) -> None:
    backend.task("Make a notes service: title")
    backend.turn()
    with running(backend.python, backend.project, "backend", backend.folder / "data") as service:
        service.wait_until_it_answers()
        kept = service.client.post("/notes", json={"title": "kept"}).json()
    backend.task("Notes: title, stars:int, due:date, done:bool, comment?")
    backend.turn()
    backend.passes()
    with running(backend.python, backend.project, "backend", backend.folder / "data") as service:
        service.wait_until_it_answers()
        after = service.client.get(f"/notes/{kept['id']}").json()
        old_client = service.client.post("/notes", json={"title": "by an old client"})
    assert after == {**kept, "stars": None, "due": None, "done": False, "comment": None}
    assert old_client.status_code == 201


def test_the_release_before_writes_into_the_schema_of_a_later_wish(backend: Workspace) -> None:
    backend.task("Make a notes service: title")
    backend.turn()
    backend.task("Notes: title, stars:int")
    backend.turn()
    data = backend.folder / "data"
    with running(backend.python, backend.project, "backend", data) as newer:
        newer.wait_until_it_answers()
    git(backend.project, "checkout", "--quiet", "HEAD~1")
    with running(backend.python, backend.project, "backend", data) as older:
        older.wait_until_it_answers()
        made = older.client.post("/notes", json={"title": "old"}).json()
    git(backend.project, "checkout", "--quiet", "work")
    with running(backend.python, backend.project, "backend", data) as newer:
        newer.wait_until_it_answers()
        assert newer.client.get(f"/notes/{made['id']}").json() == {**made, "stars": None}


def test_a_field_that_exists_keeps_its_type(backend: Workspace) -> None:
    backend.task("Make a notes service: title, stars:int")
    backend.turn()
    backend.task("Notes: title, stars:date")
    outcome = backend.turn()
    assert (outcome["status"], backend.commits()) == ("question", 1)
    assert "stars: date" in str(outcome["question"])


@pytest.mark.deep
def test_a_removed_field_is_gone_for_people_and_stays_for_the_release_before(backend: Workspace) -> None:
    backend.task("Make a notes service: title, text, done:bool")
    backend.turn()
    backend.task("Remove the fields text and done from notes. Add the field stars:int to notes.")
    outcome = backend.turn()
    assert outcome["status"] == "done", outcome
    backend.passes()
    data = backend.folder / "data"
    with running(backend.python, backend.project, "backend", data) as newer:
        newer.wait_until_it_answers()
        made = newer.client.post("/notes", json={"title": "new"}).json()
    assert made == {"id": made["id"], "title": "new", "stars": None}
    git(backend.project, "checkout", "--quiet", "HEAD~1")
    with running(backend.python, backend.project, "backend", data) as older:
        older.wait_until_it_answers()
        old = {"title": "old", "text": "kept", "done": True}
        assert older.client.post("/notes", json=old).status_code == 201
    git(backend.project, "checkout", "--quiet", "work")


@pytest.mark.deep
def test_a_password_is_never_returned_and_not_stored_as_it_is(both: Workspace) -> None:
    both.task("Keep users: login, password. A bot that answers /start with Hello, /help with Ask me and /price with 9.")
    outcome = both.turn()
    assert outcome["status"] == "done", outcome
    both.passes()
    data = both.folder / "data"
    with running(both.python, both.project, "backend", data) as service:
        service.wait_until_it_answers()
        sent = {"login": "ann", "password": "correct horse"}
        answers = [service.client.post("/users", json=sent), service.client.get("/users")]
        assert all("password" not in answer.text and answer.is_success for answer in answers)
    stored = b"".join(path.read_bytes() for path in data.rglob("*") if path.is_file())
    assert b"scrypt$" in stored
    assert b"correct horse" not in stored


@pytest.mark.deep
def test_a_bot_command_answers_in_telegram(both: Workspace) -> None:
    both.task("бот с командой /hello, которая отвечает \"Привет, 'друг' \\o/\"; Книги: название")
    assert both.turn()["status"] == "done"
    both.passes()
    env = {"TELEGRAM_BOT_TOKEN": "42:TEST"}
    with (
        bot_api() as api,
        running(
            both.python, both.project, "tg_bot", both.folder / "data", {**env, "TELEGRAM_API_BASE": api.url}
        ) as bot,
    ):
        bot.wait_until_it_answers()
        api.say("/hello")
        assert api.answered.wait(patience(20))
    assert api.texts == ["Привет, 'друг' \\o/"]


def test_a_bot_wish_for_a_project_without_a_bot_is_a_question(backend: Workspace) -> None:
    backend.task("bot with a command /hello that answers Hi")
    outcome = backend.turn()
    assert (outcome["status"], backend.commits()) == ("question", 0)
    assert "tg_bot" in str(outcome["question"])


def test_an_unclear_wish_is_asked_about_and_the_answer_is_built(backend: Workspace) -> None:
    backend.task("flower shop")
    assert backend.turn()["status"] == "question"
    outcome = backend.turn("Go on\n\n## Answer from the person\nflowers: name, price\n")
    assert (outcome["status"], backend.commits()) == ("done", 1)
    assert (backend.project / "services/backend/routes/flowers.py").exists()


def test_told_to_ask_it_asks_once_and_continues_with_any_answer(backend: Workspace) -> None:
    backend.task("Make a notes service: title [agent:ask]")
    assert backend.turn()["status"] == "question"
    assert backend.turn("## Answer from the person\nyes")["status"] == "done"


@pytest.mark.deep  # a story of the whole product needs it
def test_broken_tests_are_repaired_in_the_turn_with_evidence(backend: Workspace) -> None:
    backend.task("Make a notes service: title [agent:broken-tests]")
    backend.turn()
    assert "left failing on purpose" in backend.make("test").stdout
    assert backend.turn("Repair\n## Evidence\n1 failed")["status"] == "done"
    assert backend.commits() == 2
    backend.passes()


@pytest.mark.deep
def test_a_curious_test_prints_what_it_sees_and_fails_once(backend: Workspace) -> None:
    backend.task("Make a notes service: title [agent:curious-tests]")
    backend.turn()
    made = backend.make("check", "test")
    assert "told to look around" in made.stdout
    assert "'PATH':" in made.stdout
    assert backend.turn("Repair\n## Evidence\n1 failed")["status"] == "done"
    backend.passes()


@pytest.mark.deep  # a story of the whole product needs it
def test_always_broken_leaves_the_same_failure_after_every_repair(backend: Workspace) -> None:
    backend.task("Make a notes service: title [agent:always-broken]")
    backend.turn()
    for attempt in (2, 3):
        assert backend.turn("Repair\n## Evidence\n1 failed")["status"] == "done"
        assert backend.commits() == attempt
    made = backend.make("check", "test")
    assert "1 failed" in made.stdout
    assert "test_the_agent_keeps_its_promise" in made.stdout


@pytest.mark.deep
def test_slow_tests_take_the_time_they_were_told_and_are_taken_back_later(backend: Workspace) -> None:
    backend.task("Make a notes service: title [agent:slow-tests=1.5]")
    backend.turn()
    began = time.monotonic()
    backend.passes()
    assert time.monotonic() - began > 1.5
    backend.task("Make a notes service: title, text")
    backend.turn()
    assert not (backend.project / "tests" / "test_agent_patience.py").exists()


@pytest.mark.deep  # a story of the whole product needs it
@pytest.mark.parametrize("directive", ["broken-health", "crash-on-start", "print-environment"])
def test_a_fault_of_production_passes_the_checks_and_is_taken_back_later(backend: Workspace, directive: str) -> None:
    backend.task(f"Make a notes service: title [agent:{directive}]")
    backend.turn()
    backend.passes()
    with running(backend.python, backend.project, "backend", backend.folder / "data", PRODUCTION) as service:
        if directive != "broken-health":
            assert service.process.wait(patience(20)) == 1
        else:
            assert service.wait_until_it_answers().status_code == 500
    backend.task("Make a notes service: title")
    assert backend.turn()["status"] == "done"
    backend.passes()
    with running(backend.python, backend.project, "backend", backend.folder / "data", PRODUCTION) as service:
        assert service.wait_until_it_answers().status_code == 200


@pytest.mark.deep  # a story of the whole product needs it
def test_a_service_that_was_told_to_ends_when_it_is_asked_to_and_is_healthy_before(backend: Workspace) -> None:
    backend.task("Make a notes service: title [agent:end-when-asked]")
    backend.turn()
    backend.passes()
    with running(backend.python, backend.project, "backend", backend.folder / "data", PRODUCTION) as service:
        assert service.wait_until_it_answers().status_code == 200
        with pytest.raises(httpx.TransportError):
            service.client.get("/health?end")
        assert service.process.wait(patience(20)) == 3
    backend.task("Make a notes service: title")
    assert backend.turn()["status"] == "done"
    assert "_exit" not in (backend.project / "services/backend/routes/health.py").read_text()


@pytest.mark.deep  # a story of the whole product needs it
def test_a_needed_secret_enters_the_contract_and_is_never_shown(backend: Workspace) -> None:
    backend.task("Make a notes service: title [agent:needs-secret=PAYMENT_KEY]", None)
    backend.turn()
    backend.passes()
    entries = yaml.safe_load((backend.project / "env.contract.yaml").read_text())["entries"]
    [entry] = [entry for entry in entries if entry["name"] == "PAYMENT_KEY"]
    assert (entry["source"], entry["required"], entry["consumers"]) == ("user_secret", True, ["backend"])
    env = {**PRODUCTION, "PAYMENT_KEY": "value-1"}
    with running(backend.python, backend.project, "backend", backend.folder / "data", env) as service:
        service.wait_until_it_answers()
        status = service.client.get("/secret-status").json()
    assert status == {"PAYMENT_KEY": True, "sha256": sha256(b"value-1").hexdigest()[:12]}


def test_told_not_to_commit_it_claims_success_and_changes_nothing(backend: Workspace) -> None:
    backend.task("Make a notes service: title [agent:no-commit]")
    assert backend.turn()["status"] == "done"
    assert (backend.commits(), git(backend.project, "status", "--porcelain")) == (0, "")


def test_told_to_be_slow_it_says_so_while_it_works(backend: Workspace) -> None:
    backend.task("Make a notes service: title [agent:slow=0.5]")
    assert backend.turn()["status"] == "done"
    assert backend.commits() == 1


def hang_and_kill(workspace: Workspace) -> tuple[str, psutil.Process]:
    """What the agent said last and the child that it had when its process group was killed."""
    with subprocess.Popen(
        workspace.command("go"), cwd=workspace.project, env=workspace.env, stdout=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as agent:  # fmt: skip
        assert agent.stdout is not None
        heard = [agent.stdout.readline() for _ in range(4)]
        [child] = psutil.Process(agent.pid).children()
        assert child.name() == "sleep"
        os.killpg(agent.pid, signal.SIGKILL)
    return heard[-1], child


async def test_a_hanging_agent_has_a_child_and_ends_with_its_group(backend: Workspace) -> None:
    backend.task("Make a notes service: title [agent:hang]")
    said, child = await asyncio.to_thread(hang_and_kill, backend)
    assert "Still working" in said
    await eventually(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
