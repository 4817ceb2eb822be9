"""The bundled template: every module choice gives a project that passes its own checks and starts."""

import compileall
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from activities.adapters.verification.coverage import COVERAGE_FILE, read_lines_covered
from tests.support.patience import patience
from tests.support.ports import any_free
from tests.support.services.generated_project import TEMPLATE, Environments, bot_api, generate, git, running

CHOICES = [["backend"], ["tg_bot"], ["backend", "web"], ["backend", "tg_bot"], ["backend", "web", "tg_bot"]]
BOT_ENV = {"TELEGRAM_BOT_TOKEN": "42:TEST"}


@pytest.fixture(scope="module")
def environments(request: pytest.FixtureRequest) -> Environments:
    return Environments(request.config.cache.mkdir("service-environments"))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.deep  # the gate's stories scaffold projects and run these checks, too
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "modules",
    [["backend"], ["tg_bot"], ["backend", "web"], ["backend", "tg_bot"], ["backend", "web", "tg_bot"]],
    ids="+".join,
)
def test_a_fresh_project_passes_its_own_checks(modules: list[str], tmp_path: Path, environments: Environments) -> None:
    project = generate(tmp_path / "project", modules)
    made = environments.make(project, "setup", "check", "test")
    assert made.returncode == 0, made.stdout + made.stderr
    assert "skipped" not in made.stdout
    covered = read_lines_covered((project / COVERAGE_FILE).read_bytes())
    assert covered is not None
    assert covered > 300, "the tests run too little of the services, or it is not measured"
    assert sorted(path.name for path in (project / "services").iterdir() if path.is_dir()) >= sorted(modules)


@pytest.mark.parametrize("modules", CHOICES, ids="+".join)
def test_the_files_name_only_the_chosen_modules(modules: list[str], tmp_path: Path) -> None:
    project = generate(tmp_path / "project", modules)
    processes = [module for module in modules if module != "web"]
    manifest = yaml.safe_load((project / "service.yaml").read_text())
    assert [module["name"] for module in manifest["modules"]] == processes
    entries = yaml.safe_load((project / "env.contract.yaml").read_text())["entries"]
    assert {name for entry in entries for name in entry["consumers"]} == set(processes)
    assert list(yaml.safe_load((project / "compose.yaml").read_text())["services"]) == processes
    for absent in {"backend", "web", "tg_bot"} - set(modules):
        assert not any(absent in Path(name).parts for name in contents(project))


@pytest.mark.parametrize("modules", ["tg_bot,backend", " backend , tg_bot ", ["tg_bot", "backend", "tg_bot"]])
def test_the_same_modules_give_the_same_bytes_however_they_are_written(
    modules: list[str] | str, tmp_path: Path
) -> None:
    usual = contents(generate(tmp_path / "usual", ["backend", "tg_bot"]))
    assert contents(generate(tmp_path / "other", modules)) == usual


@pytest.mark.parametrize(
    ("modules", "said"),
    [
        ("", "at least one"),
        ([], "at least one"),
        ("foo", "unknown module foo"),
        (["backend", "x"], "unknown module x"),
        ("web", "choose backend too"),
    ],
)
def test_a_bad_list_of_modules_is_refused(modules: list[str] | str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said):
        generate(tmp_path / "project", modules)
    assert not (tmp_path / "project" / "Makefile").exists()


@pytest.mark.parametrize("name", ["", "Upper", "1st", "with space", "a" * 64, "../up", "x\n"])
def test_a_bad_project_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="project_name"):
        generate(tmp_path / "project", "backend", project_name=name)


@pytest.mark.parametrize("name", ["null", "true", "yes", "no", "on", "off", "y", "n", "e3", "inf"])
def test_a_name_that_yaml_reads_as_something_else_is_quoted(name: str, tmp_path: Path) -> None:
    project = generate(tmp_path / "project", ["backend", "tg_bot"], project_name=name)
    assert yaml.safe_load((project / "service.yaml").read_text())["name"] == name
    services = yaml.safe_load((project / "compose.yaml").read_text())["services"]
    assert {one["environment"]["APP_NAME"] for one in services.values()} == {name}
    answers = yaml.safe_load((project / ".copier-answers.yml").read_text())
    assert (answers["project_name"], answers["project_slug"]) == (name, name)
    assert tomllib.loads((project / "pyproject.toml").read_text())["project"]["name"] == name


def test_a_description_is_text_and_never_a_template(tmp_path: Path) -> None:
    hostile = '{{ 1 / 0 }} "quotes" {% raw %} $(id) Привет\nsecond line'
    project = generate(tmp_path / "project", "backend", description=hostile)
    assert hostile in (project / "README.md").read_text()
    assert yaml.safe_load((project / ".copier-answers.yml").read_text())["description"] == hostile


def test_the_answers_record_the_version_and_no_path(tmp_path: Path) -> None:
    answers = (generate(tmp_path / "project", "backend") / ".copier-answers.yml").read_text()
    assert yaml.safe_load(answers)["template_version"] == (TEMPLATE / "VERSION").read_text().strip()
    assert str(TEMPLATE) not in answers


def test_an_installed_template_gives_the_same_bytes(tmp_path: Path) -> None:
    installed = tmp_path / "site-packages" / "templates" / "service"
    shutil.copytree(TEMPLATE, installed)
    compileall.compile_dir(str(installed), quiet=1)
    usual = contents(generate(tmp_path / "usual", "backend,tg_bot"))
    assert contents(generate(tmp_path / "other", "backend,tg_bot", template=installed)) == usual


def test_working_files_count_and_not_a_tag_of_the_repository_around_them(tmp_path: Path) -> None:
    template = tmp_path / "checkout" / "templates" / "service"
    shutil.copytree(TEMPLATE, template)
    git(tmp_path / "checkout", "init", "--quiet")
    git(tmp_path / "checkout", "add", "--all")
    identity = ["-c", "user.name=Test", "-c", "user.email=test@localhost"]
    git(tmp_path / "checkout", *identity, "commit", "--quiet", "-m", "Release")
    git(tmp_path / "checkout", "tag", "v99.0.0")
    (template / "project" / "NEW.md").write_text("not in the tag")
    assert (generate(tmp_path / "project", "backend", template=template) / "NEW.md").exists()


def test_a_second_generation_keeps_business_code(tmp_path: Path) -> None:
    project = generate(tmp_path / "project", "backend")
    model = project / "services" / "backend" / "models" / "note.py"
    model.write_text("# changed by the project\n")
    (project / "services" / "backend" / "database.py").write_text("")
    generate(project, "backend")
    assert model.read_text() == "# changed by the project\n"
    assert (project / "services" / "backend" / "database.py").read_text() != ""


@pytest.fixture(scope="module")
def all_modules(tmp_path_factory: pytest.TempPathFactory, environments: Environments) -> tuple[Path, str]:
    project = generate(tmp_path_factory.mktemp("all") / "project", "backend,web,tg_bot")
    made = environments.make(project, "setup")
    assert made.returncode == 0, made.stderr
    return project, environments.python(project)


@pytest.mark.timeout(300)
def test_the_backend_answers_again_and_again(all_modules: tuple[Path, str], tmp_path: Path) -> None:
    project, python = all_modules
    for release in ("r1", "r2"):
        with running(python, project, "backend", tmp_path / "data", {"RELEASE_ID": release}) as service:
            health = service.wait_until_it_answers()
            assert (health.status_code, health.json()["release"]) == (200, release)
            assert '"status":"ok"' in health.text
            assert "<main>" in service.client.get("/").text


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("module", "env", "said"),
    [
        ("backend", {"APP_ENV": "production"}, "ADMIN_TOKEN"),
        ("backend", {"PORT": "eighty"}, "PORT"),
        pytest.param("tg_bot", {"TELEGRAM_BOT_TOKEN": "nonsense"}, "TELEGRAM_BOT_TOKEN", marks=pytest.mark.deep),
    ],
)
def test_a_module_says_which_variable_is_wrong_and_stops(
    all_modules: tuple[Path, str], module: str, env: dict[str, str], said: str
) -> None:
    project, python = all_modules
    command = [python, "-m", f"services.{module}"]
    done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert said in done.stderr


@pytest.mark.timeout(300)
def test_the_bot_is_healthy_while_telegram_is_unreachable(all_modules: tuple[Path, str], tmp_path: Path) -> None:
    project, python = all_modules
    env = {**BOT_ENV, "TELEGRAM_API_BASE": f"http://127.0.0.1:{any_free()}"}
    with running(python, project, "tg_bot", tmp_path / "data", env) as bot:
        health = bot.wait_until_it_answers()
        assert (health.status_code, health.json()["polling"]) == (200, False)
        assert '"status":"ok"' in health.text


@pytest.mark.timeout(300)
def test_a_bot_without_a_token_says_so_and_is_not_healthy(all_modules: tuple[Path, str], tmp_path: Path) -> None:
    project, python = all_modules
    with running(python, project, "tg_bot", tmp_path / "data") as bot:
        assert bot.wait_until_it_answers().status_code == 503
        assert "TELEGRAM_BOT_TOKEN is not set" in bot.client.get("/").text


@pytest.mark.deep
@pytest.mark.timeout(300)
def test_the_bot_polls_another_server_and_answers(all_modules: tuple[Path, str], tmp_path: Path) -> None:
    project, python = all_modules
    with (
        bot_api() as api,
        running(python, project, "tg_bot", tmp_path / "data", {**BOT_ENV, "TELEGRAM_API_BASE": api.url}) as bot,
    ):
        bot.wait_until_it_answers()
        api.say("good morning")
        assert api.answered.wait(patience(20))
        assert "/help" in api.texts[0]
        health = bot.client.get("/health").json()
        assert (health["polling"], health["bot"]) == (True, "demo_bot")
