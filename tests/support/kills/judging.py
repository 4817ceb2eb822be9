"""What a delivery leaves behind, and the judge, which compares it with an undisturbed one.

Nothing here asks the platform whether it did well. Commits are counted with git, releases as directories and images,
agents by the scripted agent's own log, containers by the engine, processes in the process table, the service by its
answer. The API is asked only for what people read there: task rows, milestones, questions.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from contracts import ids
from contracts.states import TaskKind


@dataclass(frozen=True)
class Delivery:
    """One wish on its way. Every other name follows from these."""

    project_id: str
    project: str
    task_id: str

    @property
    def engineering(self) -> str:
        return ids.child_task_id(self.task_id, TaskKind.ENGINEERING)

    @property
    def deploy(self) -> str:
        return ids.child_task_id(self.task_id, TaskKind.DEPLOY)

    @property
    def release(self) -> str:
        return ids.release_id_for_task(self.deploy)

    @property
    def slug(self) -> str:
        return ids.directory_name(self.project)

    @property
    def work(self) -> tuple[str, str, str]:
        """How the names of its turns, test runs and deploys begin."""
        return f"turn-{self.engineering}-", f"test-{self.engineering}-", f"play-{self.release}-"


@dataclass(frozen=True)
class Evidence:
    """What was counted about one delivery."""

    tasks: tuple[str, ...]
    """Kind and state of every task row of the project, sorted."""
    commits: int
    """On `main` of the forge."""
    turns: int
    agent_starts: int
    """Lines of the agent's own log that belong to the turns."""
    begun_again: tuple[str, ...]
    """Turns, test runs and deploys of which there was more than one."""
    release_dirs: tuple[str, ...]
    release_images: int
    services: int
    """Running ones, containers or processes; candidates are leftovers."""
    answering: str
    """The release that the URL names, or why there is no answer."""
    milestones: tuple[str, ...]
    repeated: tuple[str, ...]
    """Lines of progress that people see twice."""
    questions: int
    leftovers: tuple[str, ...]
    """Containers, volumes, processes and files of work that has ended."""


Kind = Literal["lost", "doubled", "orphan", "differs"]


@dataclass(frozen=True)
class Finding:
    kind: Kind
    what: str


def judge(seen: Evidence, unkilled: Evidence, release: str) -> list[Finding]:
    """What is wrong with a delivery, compared with an undisturbed one; empty if nothing is."""
    found = [Finding("doubled", f"shown twice: {line}") for line in seen.repeated]
    found += [Finding("doubled", f"begun more than once: {name}") for name in seen.begun_again]
    found += [Finding("orphan", left) for left in seen.leftovers]
    for what, now, then in (
        ("commits on main", seen.commits, unkilled.commits),
        ("agent runs per turn", seen.agent_starts, seen.turns),
        ("turns", seen.turns, unkilled.turns),
        ("task rows", len(seen.tasks), len(unkilled.tasks)),
        ("release directories", len(seen.release_dirs), 1),
        ("release images", seen.release_images, unkilled.release_images),
        ("services", seen.services, unkilled.services),
        ("milestones", len(seen.milestones), len(unkilled.milestones)),
    ):
        if now != then:
            found.append(Finding("doubled" if now > then else "lost", f"{what}: {now} instead of {then}"))
    if seen.answering != release:
        found.append(Finding("lost", f"the URL answers with {seen.answering} instead of {release}"))
    if seen.release_dirs not in {(), (release,)}:
        found.append(Finding("differs", f"release directories {seen.release_dirs} instead of {release}"))
    if seen.questions:
        found.append(Finding("differs", f"{seen.questions} open questions"))
    for what, mine, other in (
        ("tasks", seen.tasks, unkilled.tasks),
        ("milestones", seen.milestones, unkilled.milestones),
    ):
        if mine != other:
            found.append(Finding("differs", f"{what}: {_difference(mine, other)}"))
    return found


def _difference(mine: tuple[str, ...], other: tuple[str, ...]) -> str:
    more, less = Counter(mine) - Counter(other), Counter(other) - Counter(mine)
    return (
        f"too many {sorted(more.elements())}, missing {sorted(less.elements())}" if more or less else "in another order"
    )
