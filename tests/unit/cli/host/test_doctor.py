"""What `doctor`, `up` and `status` say about whom work runs as, for whom that is enough, and about disks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from cli.host import doctor, runtime_facts
from cli.host.parts import Parts
from contracts.states import AgentKind
from runtime.disks import Disk
from runtime.runtime_report import RuntimeReport
from runtime.settings import Settings


def report(settings: Settings, **fields: Any) -> None:
    values = {"work": "processes", "services": "processes", "reason": "no engine", **fields}
    RuntimeReport.model_validate(values).write(settings.runtime_report_file)


def as_root(monkeypatch: pytest.MonkeyPatch, obstacle: str | None) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(runtime_facts.other_users, "obstacle", lambda *_: obstacle)


def test_doctor_is_not_content_with_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It asked for `useradd`, which does not help where Python is out of reach."""
    settings = Settings(home=tmp_path)
    as_root(monkeypatch, "an unprivileged user cannot reach /root, so work runs as root")
    found = doctor._work_user(settings)
    assert found.verdict == "problem"
    assert "agents, tests and services run as root" in found.found
    assert "/root" in found.found
    assert "ORCHESTRATOR_HOME" in found.advice
    report(settings, work="containers", services="containers")
    assert doctor._work_user(settings).verdict == "optional", "nothing runs as a process"
    report(settings, work="containers", services="processes")
    assert doctor._work_user(settings).verdict == "problem"
    as_root(monkeypatch, None)
    assert doctor._work_user(settings).verdict == "ok"


@pytest.mark.parametrize("trusted", [False, True])
def test_processes_say_for_whom_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool) -> None:
    settings = Settings(home=tmp_path, trust_processes=trusted)
    report(settings, as_root="Python is out of reach")
    told = "\n".join(str(fact) for _, fact in runtime_facts.runtime_facts(Parts(settings)))
    assert ("one trusted person" in told) is not trusted
    assert "agents, tests and services RUN AS ROOT: Python is out of reach" in told
    found = doctor._trust(settings)
    assert ("one trusted person" in found.found, "ORCHESTRATOR_TRUST_PROCESSES" in found.found) == (
        not trusted,
        trusted,
    )


def test_containers_have_no_warning(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    report(settings, work="containers", services="containers", as_root="Python is out of reach")
    assert [label for label, _ in runtime_facts.runtime_facts(Parts(settings))] == ["Runtime"]
    assert doctor._trust(settings).verdict == "ok"


@pytest.mark.parametrize(("state", "verdict"), [("ok", "ok"), ("low", "problem"), ("full", "problem")])
def test_each_disk_has_a_line(state: Any, verdict: str) -> None:
    found = doctor._disk(Disk("home, Docker", Path("/data"), 12, 34, state))
    assert (found.part, found.verdict) == ("disk: home, Docker", verdict)
    assert "12 of 34 MB free at /data" in found.found


def test_what_docker_uses_is_shown_where_work_is_in_containers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\nprintf 'Images\\t3\\t1.2GB\\nLocal Volumes\\t7\\t80MB\\nOther\\t1\\t1B\\nodd\\n'\n")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    settings = Settings(home=tmp_path / "home")
    assert doctor._used_by_docker(settings) == [], "no engine is asked that the platform does not use"
    report(settings, work="containers", docker_root=str(tmp_path))
    found = {one.part: one for one in doctor._used_by_docker(settings)}
    assert {name: one.found for name, one in found.items()} == {
        "used: Docker: Images": "1.2GB in 3",
        "used: Docker: Local Volumes": "80MB in 7",
    }
    assert all(one.advice for one in found.values()), "each with its rule"


def test_the_agent_of_new_work_is_a_program_of_an_image_whatever_is_installed_here(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, agent=AgentKind.CODEX)
    assert doctor._agent_image(settings).found == "its image is built at its first use"
    report(settings, work="containers", services="containers", agent_images={"codex": "its image is there"})
    assert (doctor._agent_image(settings).verdict, doctor._agent_image(settings).found) == ("ok", "its image is there")
    assert doctor._agent_image(Settings(home=tmp_path, agent=AgentKind.SCRIPTED)).verdict == "ok"
