"""`python -m tests.replay.record_histories [SCENARIO…]`: golden histories from real runs.

Runs scenarios on a fresh platform and writes what Temporal recorded to `tests/replay/histories/<workflow>/<name>.json`,
one event per line, payloads in the clear. A file that exists is never touched: a golden history is what an older
build really did. A new way through a workflow gets a new name in `GOLDEN`.
"""

import argparse
import asyncio
import base64
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.client import Client

from contracts import ids
from contracts.names import WorkflowName
from runtime.keyring import KeyRing
from runtime.temporal.codec import ENCODING, EncryptionCodec
from tests.support.people.scenarios import SCENARIOS
from tests.support.people.stories import Stories
from tests.support.people.story import Story
from tests.support.stack import ROOT, Stack, running_stack

HISTORIES = ROOT / "tests" / "replay" / "histories"

GOLDEN: dict[str, tuple[str, ...]] = {
    WorkflowName.DELIVERY: (
        "happy", "missing-secret", "crash-on-start", "joins-a-deploy", "cancel-in-engineering", "cancel-in-deploy",
        "cancel-behind-a-deploy", "watched", "begun-again", "in-parts-blocked", "in-parts-retried",
    ),
    WorkflowName.ENGINEERING: (
        "happy", "iteration", "repair", "same-failure", "empty-claim", "agent-fails", "question", "cancel-scaffold",
        "cancel-turn", "cancel-tests", "cancel-waiting-for-an-answer", "refused-question", "begun-again",
        "planned", "parked", "stopped-at-a-limit", "goes-on", "reviewed",
    ),
    WorkflowName.DEPLOY: (
        "happy", "iteration", "rollback", "stop", "restart", "remove", "broken-health", "crash-on-start",
        "two-at-once", "two-at-once-queued-seen", "approval", "declined", "missing-secret",
        "secret-with-the-answer", "cancel-waiting-for-a-secret", "withdrawn-playbook",
        "watched", "watched-rollback", "ends-while-watched", "cancel-while-watched",
        "refused-end", "refused-success",
    ),
    WorkflowName.AGENT_WORKER: (
        "happy", "repair", "question", "cancel-turn", "steered-and-asked-to-end", "stopped-then-idle", "branch-moved",
        "given-up-turn",
    ),
    WorkflowName.MAINTENANCE: ("continued-as-new", "cancelled"),
    WorkflowName.HOUSEKEEPING: ("happy",),
    WorkflowName.BACKUP: ("happy", "verified"),
}  # fmt: skip
"""The histories that there must be, by workflow.

A name comes from the task of a scenario. When a patch gives the scenario's task a new name, the old one stays here:
runs that an older build has begun look like that. Those of backups are from a platform with a repository for them. The
`refused-` ones, `begun-again`, the last four of engineering and the last four of agent workers are from
`tests/workflow`: a platform sends nothing that its API refuses, begins nothing again that has ended, and meets neither
a vendor's limits nor a reviewer; what a person does in the middle of a turn needs a turn that waits.
"""


def file_of(workflow: str, name: str) -> Path:
    return HISTORIES / workflow / f"{name}.json"


async def record(stack: Stack, story: Story) -> list[Path]:
    """Write the histories of a told story that are wanted and not there yet."""
    client, written = await stack.client(), []
    clear = Clear(KeyRing.load(stack.settings.codec_key_file), stack.home)
    async for workflow, name, workflow_id, run_id in _runs(stack, story):
        file = file_of(workflow, name)
        if name in GOLDEN[workflow] and not file.exists():
            document = await clear.document(client, workflow_id, run_id)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text_of(document))
            written.append(file)
    return written


async def _runs(stack: Stack, story: Story) -> AsyncIterator[tuple[str, str, str, str | None]]:
    """Workflow, name, workflow id and run of each task of a story, of the work below, and of what has no task."""
    for run in story.runs:
        yield run
    for name, task_id in story.tasks:
        tree = await stack.get(f"/tasks/{task_id}/tree")
        for task in (tree["task"], *tree["below"]):
            yield task["kind"], name, task["workflow_id"], task["run_id"]
            if task["kind"] == WorkflowName.ENGINEERING:
                worker_id = ids.worker_id_for_task(task["id"])
                yield WorkflowName.AGENT_WORKER, name, ids.agent_worker_workflow_id(worker_id), None


class Clear:
    """Makes a recorded history readable without a key and removes traces of this machine."""

    def __init__(self, ring: KeyRing, home: Path) -> None:
        self._codec = EncryptionCodec(ring)
        self._places = {str(home): "/var/lib/orchestrator", str(ROOT): "/opt/orchestrator"}

    async def document(self, client: Client, workflow_id: str, run_id: str | None) -> dict[str, Any]:
        history = await client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history()
        events = [await self._plain(event) for event in history.to_json_dict()["events"]]
        return {"workflowId": workflow_id, "events": events}

    async def _plain(self, node: Any) -> Any:
        if isinstance(node, dict):
            if isinstance(node.get("metadata"), dict) and "encoding" in node["metadata"]:
                return await self._payload(node)
            kept = {key: value for key, value in node.items() if not _is_noise(key, value)}
            return {key: self._anonymous(key, await self._plain(value)) for key, value in kept.items()}
        if isinstance(node, list):
            return [await self._plain(value) for value in node]
        return self._without_places(node)

    async def _payload(self, node: dict[str, Any]) -> dict[str, Any]:
        metadata = {key: base64.b64decode(value) for key, value in node["metadata"].items()}
        payload = Payload(metadata=metadata, data=base64.b64decode(node.get("data", "")))
        if metadata["encoding"] == ENCODING:
            (payload,) = await self._codec.decode([payload])
        if dict(payload.metadata) != {"encoding": b"json/plain"}:
            return node if payload.metadata["encoding"] == metadata["encoding"] else _encoded(payload)
        return {"json": await self._plain(json.loads(payload.data))}

    def _anonymous(self, key: str, value: Any) -> Any:
        """Replay compares neither who did something nor stack traces."""
        if key == "identity":
            return "worker"
        if key in {"stackTrace", "stack_trace"}:
            return ""
        if isinstance(value, dict) and value.get("kind") == "TASK_QUEUE_KIND_STICKY":
            return {**value, "name": "sticky"}
        return value

    def _without_places(self, value: Any) -> Any:
        if isinstance(value, str):
            for place, name in self._places.items():
                value = value.replace(place, name)
        return value


def _is_noise(key: str, value: object) -> bool:
    """What the server keeps for itself, and what says nothing."""
    return key in {"taskId", "workerVersion"} or (key in {"header", "priority"} and not value) or value == "0s"


def _encoded(payload: Payload) -> dict[str, Any]:
    metadata = {key: base64.b64encode(value).decode() for key, value in payload.metadata.items()}
    data = base64.b64encode(payload.data).decode()
    return {"metadata": metadata, "data": data} if data else {"metadata": metadata}


def text_of(document: dict[str, Any]) -> str:
    """One event per line, so that two histories can be compared by eye."""
    lines = (
        json.dumps(event, ensure_ascii=False, sort_keys=True, separators=(",", ":")) for event in document["events"]
    )
    head = json.dumps(document["workflowId"])
    return f'{{"workflowId": {head}, "events": [\n' + ",\n".join(lines) + "\n]}\n"


async def _record_all(names: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="histories-") as directory:
        async with running_stack(Path(directory) / "platform") as stack:
            stories, failed = Stories(stack, names), 0
            for name in names:
                try:
                    written = await record(stack, await stories.get(name))
                except (AssertionError, RuntimeError) as error:
                    sys.stderr.write(f"{name} FAILED: {error}\n")
                    failed += 1
                    continue
                sys.stdout.write(
                    f"{name}: {', '.join(str(one.relative_to(ROOT)) for one in written) or 'nothing new'}\n"
                )
    return failed


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.replay.record_histories", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"of: {', '.join(SCENARIOS)}; default all")
    names = parser.parse_args().scenarios or list(SCENARIOS)
    unknown = set(names) - set(SCENARIOS)
    if unknown:
        parser.error(f"there is no scenario {', '.join(sorted(unknown))}")
    failed = asyncio.run(_record_all(names))
    missing = [
        f"{workflow}/{name}"
        for workflow, wanted in GOLDEN.items()
        for name in wanted
        if not file_of(workflow, name).exists()
    ]
    if missing:
        sys.stdout.write(f"Still missing: {', '.join(missing)}\n")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
