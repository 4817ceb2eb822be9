"""The main job by hand: its script and the platform do the same, and no second of either is lost in the tables."""

import re

import pytest

from activities.adapters.containers.engine import Limits
from benchmarks.main_job_by_hand import SAME_WORK, by_work
from benchmarks.setups.by_hand import SCRIPT, Steps

TEXT = SCRIPT.read_text()


def test_each_step_of_the_script_has_its_work_on_the_platform() -> None:
    steps = re.findall(r"^step (\w+)$", TEXT, re.MULTILINE)
    assert steps == [*(name for _, names in SAME_WORK.values() for name in names), "end"]


def test_the_script_gives_containers_the_limits_of_the_platform() -> None:
    limits = Limits()
    assert f"--memory {limits.memory_bytes // 1024**3}g " in TEXT
    assert f"--pids-limit {limits.pids}\n" in TEXT
    assert f"< {limits.cpus:.0f} ? 1 : {limits.cpus:.0f}" in TEXT


def test_steps_are_read_from_the_moments_that_the_script_prints() -> None:
    steps = Steps.of(9.5, "10.0 scaffold\n12.5 develop\n13.0 end\n")
    assert (steps.seconds, steps.steps) == (3.5, {"scaffold": 2.5, "develop": 0.5})


def test_a_script_that_did_not_come_to_its_end_has_no_time() -> None:
    with pytest.raises(ValueError, match="did not come to its end"):
        Steps.of(9.5, "10.0 scaffold\n12.5 develop\n")


def test_what_no_step_accounts_for_is_the_rest() -> None:
    names = [name for _, own in SAME_WORK.values() for name in own]
    found = by_work([Steps(20.0, dict.fromkeys(names, 1.0)), Steps(10.0, dict.fromkeys(names, 1.0))], 1)
    assert found["The rest"] == 15.0 - len(names)
    assert sum(found.values()) == 15.0
