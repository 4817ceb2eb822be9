"""`deliver_with.py AGENT`: from a scaffold to main, with the forge of the settings; what was seen, as JSON.

A program of its own: it runs against a copy of the source, in which something was added.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from activities.adapters.release.build_context import export_commit
from activities.adapters.verification.steps import check_out
from activities.ports import Follow, Forge
from contracts.departments import ScaffolderMessage
from contracts.progress import FineEvent
from contracts.states import AgentKind
from contracts.steps import (
    Check,
    PublishRequest,
    TurnRequest,
    VerificationRequest,
    WorkspaceFile,
    WorkspacePush,
    WorkspaceRequest,
)
from runtime.artifacts import DirectoryArtifactStore
from runtime.settings import Settings
from workers.forges import build_forge
from workers.local import processes

WORKER, REPOSITORY, BRANCH = "eng-1", "u1/library", "task/eng-1"
WISH = "# Library\n\nMake a books service: title, pages\n"


async def deliver(agent: AgentKind) -> dict[str, Any]:
    settings = Settings()
    forge = build_forge(settings)
    parts = processes(settings, forge, DirectoryArtifactStore(settings.artifacts_dir))
    scaffold = await forge.scaffold(
        ScaffolderMessage(project_id="p1", repo_full_name=REPOSITORY, project_name="library", modules=["backend"])
    )
    ready = await parts.workspaces.prepare(WorkspaceRequest(worker_id=WORKER, repository=REPOSITORY, branch=BRANCH))
    assert ready.base_commit == scaffold.commit
    await parts.workspaces.write_file(WorkspaceFile(worker_id=WORKER, path="TASK.md", content=WISH))
    said: list[str] = []
    turn = await parts.runtime.run_turn(
        TurnRequest(
            worker_id=WORKER, turn=1, request_id="r1", task_id=WORKER, project_id="p1", agent=agent,
            message="Read TASK.md and complete the task.", timeout_s=60,
        ),
        _following(said),
    )  # fmt: skip
    pushed = await parts.workspaces.push(
        WorkspacePush(worker_id=WORKER, repository=REPOSITORY, branch=BRANCH, base_commit=scaffold.commit)
    )
    published = await forge.publish(
        PublishRequest(
            task_id=WORKER, project_id="p1", repository=REPOSITORY, branch=BRANCH, commit=pushed.commit,
            base_commit=scaffold.commit, checks=[Check(name="tests", commit=pushed.commit, passed=True)],
        )
    )  # fmt: skip
    return {
        "status": turn.status,
        "summary": turn.summary,
        "said": said,
        "scaffold": scaffold.commit,
        "commit": pushed.commit,
        "published": published.status,
        "files": published.files_changed,
        "main": await forge.mirror(REPOSITORY).fetch(),
        **await _consumed(forge, pushed.commit, settings.home),
    }


async def _consumed(forge: Forge, commit: str, home: Path) -> dict[str, bool]:
    """Whether the commit reaches tests and releases."""
    mirror = forge.mirror(REPOSITORY)
    request = VerificationRequest(task_id=WORKER, project_id="p1", repository=REPOSITORY, commit=commit)
    (home / "tested").mkdir()
    tested = await check_out(mirror, request.commit, home / "tested")
    released = home / "released" / "app"
    released.mkdir(parents=True)
    await export_commit(mirror.directory, await mirror.fetch(commit), released)
    _, texts = await mirror.read_files(commit, ["service.yaml"])
    return {
        "tested": (tested / "Makefile").is_file(),
        "released": (released / "service.yaml").read_text() == texts["service.yaml"],
    }


def _following(said: list[str]) -> Follow:
    async def report(events: list[FineEvent], _: int) -> None:
        said.extend(str(event.event.message) for event in events)

    return Follow(0, report)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(deliver(AgentKind(sys.argv[1])))) + "\n")
