"""What the scripted model plays as planner and as the one who writes checks can be read by the platform."""

import json
import subprocess
from pathlib import Path

from contracts.acceptance_reading import read_checks
from contracts.criteria import Criterion
from emulators.model.scenarios import load
from emulators.model.steps import Do
from tests.support.agents.department import WISH, department


def document(name: str, folder: Path) -> dict[str, object]:
    """What the scenario's script leaves as its outcome in a folder."""
    script = [step.text for step in load()[name].steps if step.do is Do.RUN][-1]
    outcome = folder / "outcome.json"
    environment = {"PATH": "/usr/bin:/bin", "ORCHESTRATOR_OUTCOME": str(outcome), "TMPDIR": str(folder)}
    subprocess.run(["sh", "-c", script], cwd=folder, env=environment, check=True)
    found: dict[str, object] = json.loads(outcome.read_text())["document"]
    return found


def test_the_plan_quotes_the_wish_and_its_checks_can_be_read(tmp_path: Path) -> None:
    planned = document("notes-plan", tmp_path)["criteria"]
    assert isinstance(planned, list)
    assert all(one["words"] in WISH for one in planned)
    criteria = [Criterion(id=f"p{number}", **one) for number, one in enumerate(planned, 1)]
    spec = {"acceptance": [one.model_dump(mode="json") for one in criteria]}
    (tmp_path / "SPEC.json").write_text(json.dumps(spec))
    read = read_checks(json.dumps(document("notes-checks", tmp_path)), criteria)
    assert read.faults == []
    assert {one.criterion_id for one in read.checks} == {one.id for one in criteria}


def test_each_role_is_known_by_what_the_platform_tells_it() -> None:
    roles = {scenario.match: scenario for scenario in department()}
    assert set(roles) == {"Say what done means", "You check software", "Read TASK.md"}
    assert not any(scenario.match in WISH for scenario in roles.values())
