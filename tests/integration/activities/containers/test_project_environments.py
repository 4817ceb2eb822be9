"""What a project declares of its environment, in its turns and tests; and whose fault it is if it cannot be had."""

from __future__ import annotations

import json

import pytest

from activities.adapters.containers.images import DockerImages, ProjectImage
from activities.adapters.containers.images.layers import Layer
from activities.adapters.packages.environment_file import Read
from contracts.errors import ErrorClass, OrchestratorError
from tests.support.services.runtimes import AGENT, MAKEFILE, Bench

pytestmark = [pytest.mark.deep, pytest.mark.containers, pytest.mark.timeout(600)]


async def test_tests_run_in_the_environment_that_the_project_declares(bench: Bench) -> None:
    program = "printf '#!/bin/sh\\necho from-%s\\n' environment > /opt/environment/bin/greet"
    declared = json.dumps({"setup": [program, "chmod +x /opt/environment/bin/greet"]})
    files = {"Makefile": MAKEFILE.format("greet; echo '= 1 passed ='"), ".orchestrator/environment.yaml": declared}
    result = await bench.verify(bench.verification(files))
    assert result.passed, result.evidence
    assert result.report is not None
    assert b"from-environment" in await bench.artifacts.read(result.report)


async def test_an_environment_that_cannot_be_set_up_is_evidence_for_the_agent(bench: Bench) -> None:
    declared = json.dumps({"setup": ["true", "echo no such tool >&2; exit 4"]})
    files = {"Makefile": MAKEFILE.format("true"), ".orchestrator/environment.yaml": declared}
    result = await bench.verify(bench.verification(files))
    assert (result.passed, result.failure_class) == (False, "code")
    assert "step 2 of setup ended with exit code 4" in result.evidence
    assert "no such tool" in result.evidence


async def test_a_turn_is_told_why_it_has_no_environment_and_works_all_the_same(bench: Bench) -> None:
    """What the project's file does wrong is no failure of the agent: only an agent can repair the file."""
    declared = json.dumps({"setup": ["echo no such tool >&2; exit 4"]})
    bench.commit({"agent.py": AGENT, ".orchestrator/environment.yaml": declared})
    await bench.prepare()
    done = await bench.turn({"tells": "raw", "outcome": {"status": "done", "summary": "repaired"}})
    assert (done.status, done.summary) == ("done", "repaired")
    assert "step 1 of setup ended with exit code 4" in bench.said[1]
    assert "no such tool" in bench.said[1]


async def test_services_run_beside_the_tests_and_the_agent_each_for_itself(bench: Bench) -> None:
    ask = 'psql --no-align --tuples-only "$TEST_POSTGRESQL_URL" --command '
    looks = f"{ask} 'create table notes (id int)' && redis-cli -u \"$$TEST_REDIS_URL\" ping && echo '= 1 passed ='"
    files = {
        "agent.py": AGENT,
        "Makefile": MAKEFILE.format(looks.replace('"$TEST_P', '"$$TEST_P')),
        ".orchestrator/environment.yaml": "services: [postgresql, redis]\n",
    }
    result = await bench.verify(bench.verification(files))
    assert result.passed, result.evidence
    await bench.prepare()
    done = await bench.turn({"runs": [f"{ask} 'create table notes (id int)'", f"{ask} 'select count(*) from notes'"]})
    assert done.status == "done"
    assert bench.said[-2:] == ["0: CREATE TABLE", "0: 0"], bench.said


async def test_a_service_that_does_not_start_is_neither_the_agents_nor_the_projects_fault(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.commit({"agent.py": AGENT, ".orchestrator/environment.yaml": "services: [redis]\n"})
    await bench.prepare()
    monkeypatch.setattr(DockerImages, "project", _with_an_unknown_service)
    with pytest.raises(OrchestratorError, match="A service of the project's environment did not start") as caught:
        await bench.turn({})
    assert caught.value.error_class is ErrorClass.TRANSIENT
    monkeypatch.undo()
    assert (await bench.turn({"runs": ["cat ~/runs.log"]})).status == "done"
    assert bench.said[-1] == "0: None", "the agent has begun once"


async def _with_an_unknown_service(images: DockerImages, parent: str, read: Read) -> ProjectImage:
    name = "environment-without-its-service"
    layer = Layer(name, "ARG PARENT\nFROM $PARENT\nENV ORCHESTRATOR_SERVICES=nothing\n", "true")
    return ProjectImage(await images._builder.ensure([layer], parent))
