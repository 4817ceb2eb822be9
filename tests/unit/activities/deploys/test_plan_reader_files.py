"""Reading service.yaml and env.contract.yaml from a commit."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import pytest

from activities.adapters.packages.bounded_yaml import MAX_BYTES
from activities.adapters.release.plan_reader import ForgePlanReader
from contracts.errors import ErrorCode, OrchestratorError
from contracts.steps import AnalysisRequest, DeploymentPlan

COMMIT = "a" * 40
MANIFEST = """
version: "1"
name: blog
modules:
  - name: backend
    command: ["{python}", "-m", "services.backend"]
    health_path: /health
    health_body: '"status":"ok"'
    port: 8000
"""
CONTRACT = """
version: "1"
entries:
  - name: SECRET_KEY
    source: generated_secret
    consumers: [backend]
"""


@dataclass
class FakeFiles:
    files: dict[str, str] = field(default_factory=dict)

    def mirror(self, repository: str) -> FakeFiles:
        return self

    async def read_files(self, commit: str | None, paths: list[str]) -> tuple[str, dict[str, str]]:
        return commit or COMMIT, {path: self.files[path] for path in paths if path in self.files}


async def read(manifest: str | None = MANIFEST, contract: str | None = CONTRACT) -> DeploymentPlan:
    named = {"service.yaml": manifest, "env.contract.yaml": contract}
    reader = ForgePlanReader(FakeFiles({path: text for path, text in named.items() if text is not None}))  # type: ignore[arg-type]  # the reading part of the port is all that is needed
    return await reader.read(AnalysisRequest(project_id="p-1", repository="u1/blog"))


async def refusal(manifest: str | None = MANIFEST, contract: str | None = CONTRACT) -> str:
    with pytest.raises(OrchestratorError) as caught:
        await read(manifest, contract)
    assert caught.value.code is ErrorCode.ENV_CONTRACT_INVALID
    return caught.value.message


async def test_a_plan_holds_the_services_and_the_environment_of_the_commit() -> None:
    plan = await read()
    assert plan.commit == COMMIT
    assert plan.services[0].command == ["{python}", "-m", "services.backend"]
    assert plan.services[0].health_contains == '"status":"ok"'
    assert (plan.environment[0].name, plan.environment[0].required) == ("SECRET_KEY", True)


async def test_a_missing_file_is_named() -> None:
    assert "service.yaml is missing" in await refusal(manifest=None)
    assert "env.contract.yaml is missing" in await refusal(contract=None)


@pytest.mark.parametrize(
    "text", ["entries: [", "- a\n- b", "just words", "", "entries: 3", "!!python/object:os.system {}"]
)
async def test_what_is_no_contract_is_refused(text: str) -> None:
    assert "env.contract.yaml" in await refusal(contract=text)


@pytest.mark.parametrize(
    "text", ["!!int hunter2", "!!bool hunter2", "!!int ''", "!!timestamp hunter2", "2001-13-45", "9" * 5_000, '"\\0"']
)
async def test_a_scalar_that_cannot_be_used_is_refused_without_its_value(text: str) -> None:
    message = await refusal(contract=f"entries: [{{name: A, source: literal, value: {text}}}]")
    assert "env.contract.yaml" in message
    assert "hunter2" not in message
    assert "service.yaml" in await refusal(manifest=f"modules: [{{name: backend, command: [{text}]}}]")


async def test_an_unknown_source_names_its_entry_without_its_value() -> None:
    message = await refusal(contract="entries: [{name: A, source: vault, value: hunter2}]")
    assert "entries.0.source" in message
    assert "hunter2" not in message


async def test_a_misspelt_key_is_refused() -> None:
    assert "requird" in await refusal(contract="entries: [{name: A, source: literal, value: x, requird: false}]")


async def test_duplicate_names_unknown_consumers_and_secret_values_are_refused() -> None:
    twice = "entries: [{name: A, source: literal, value: x}, {name: A, source: literal, value: y}]"
    assert "listed twice" in await refusal(contract=twice)
    stranger = "entries: [{name: A, source: literal, value: x, consumers: [bot]}]"
    assert "consumer bot" in await refusal(contract=stranger)
    told = "entries: [{name: A, source: user_secret, value: hunter2}]"
    assert "must not have a value" in await refusal(contract=told)


async def test_a_too_large_file_is_refused() -> None:
    assert "larger than" in await refusal(contract="#" * (MAX_BYTES + 1))


def listed(entry: str, number: int) -> str:
    return "entries: [" + ",".join(f"{{name: S{n}, {entry}}}" for n in range(number)) + "]"


async def test_more_secrets_than_a_person_can_be_asked_for_are_refused() -> None:
    assert len((await read(contract=listed("source: user_secret", 50))).environment) == 50
    assert "more than 50 secrets" in await refusal(contract=listed("source: user_secret", 51))


async def test_a_small_file_does_not_become_a_plan_that_no_step_can_carry() -> None:
    value = "x: &v " + "v" * 2_000 + "\n"
    assert "100 KB" in await refusal(contract=value + listed("source: literal, value: *v", 60))
    consumers = "x: &v [" + "backend," * 21 + "]\n"
    assert "at most 20" in await refusal(contract=consumers + listed("source: literal, value: x, consumers: *v", 1))


async def test_a_million_mistakes_in_a_small_file_are_told_by_the_first() -> None:
    wrong = "x: &v [" + "[]," * 18_000 + "]\n"
    began = time.process_time()
    message = await refusal(contract=wrong + listed("source: literal, value: x, consumers: *v", 100))
    assert "entries.0.consumers.0" in message
    message = await refusal(manifest=wrong + "modules: [" + "{name: a, command: *v}," * 100 + "]")
    assert "modules.0.command.0" in message
    assert time.process_time() - began < 10, "about a second; with all of them told, minutes and gigabytes"


async def test_manifest_mistakes_name_the_module() -> None:
    assert "two modules" in await refusal(manifest=MANIFEST + MANIFEST.split("modules:")[1])
    assert "slash" in await refusal(manifest=MANIFEST.replace("/health\n", "health\n"))
    assert "Backend-1" in await refusal(manifest=MANIFEST.replace("name: backend", "name: Backend-1"))
    assert "modules" in await refusal(manifest="modules: []")


async def test_a_module_may_name_how_its_data_are_migrated() -> None:
    named = MANIFEST.replace(
        "    health_path", '    migrate: ["{python}", "-m", "alembic", "upgrade", "head"]\n    health_path'
    )
    assert (await read(named)).services[0].migrate == ["{python}", "-m", "alembic", "upgrade", "head"]
    assert (await read()).services[0].migrate == []


@pytest.mark.parametrize("limit", ["0", "-1", "241", "1.5", "'60'", "true", "soon", "1e3"])
async def test_a_start_limit_that_cannot_be_is_refused_by_name(limit: str) -> None:
    message = await refusal(MANIFEST.replace("    port:", f"    start_limit_s: {limit}\n    port:"))
    assert "start_limit_s" in message


async def test_a_module_may_say_how_long_it_takes_to_start() -> None:
    named = MANIFEST.replace("    port:", "    start_limit_s: 120\n    port:")
    assert (await read(named)).services[0].start_limit_s == 120
    assert (await read()).services[0].start_limit_s is None


async def test_a_bot_never_runs_twice_at_once_unless_its_module_says_so() -> None:
    bot = MANIFEST.replace("name: backend", "name: tg_bot")
    own = CONTRACT.replace("[backend]", "[tg_bot]")
    assert (await read(bot, own)).services[0].alone is True
    assert (await read(bot.replace("    port:", "    alone: false\n    port:"), own)).services[0].alone is False
    assert (await read()).services[0].alone is False


async def test_what_a_live_body_must_hold_is_apart_from_what_a_candidate_answers() -> None:
    named = MANIFEST.replace("    port:", "    live_body: '\"polling\":true'\n    port:")
    service = (await read(named)).services[0]
    assert (service.live_contains, service.health_contains) == ('"polling":true', '"status":"ok"')
