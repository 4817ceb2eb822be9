"""Everything that was recorded of a task."""

from cli.client.watching import Steps
from cli.terminal.output import Output
from contracts.artifacts import ArtifactRef
from contracts.errors import ErrorCode, OrchestratorError
from contracts.nouns import TaskDTO
from contracts.wording import counted
from runtime.api_client import ApiClient

_PAGE = 500
_TEXTS = ("text/", "application/")


async def show_events(api: ApiClient, task: TaskDTO, out: Output) -> None:
    """All stored events, page by page."""
    steps, after = Steps(out), 0
    while events := await api.events(task.id, after=after, limit=_PAGE):
        for event in events:
            out.document({"event": event.model_dump(mode="json")})
            if steps.count(event):
                steps.show(event)
        after = events[-1].seq


async def show_artifacts(api: ApiClient, task: TaskDTO, out: Output) -> None:
    """The text of each artifact. A missing one is reported and does not hide the others."""
    for ref in task.artifacts:
        out.say()
        out.say(f"--- {ref.uri.rsplit('/', 1)[-1]} ({counted(ref.size_bytes, 'byte')})", style="bold")
        if not ref.media_type.startswith(_TEXTS):
            out.say(f"({ref.media_type}: orchestrator task screenshots {task.id})")
            continue
        try:
            await _show_text(api, task, ref, out)
        except OrchestratorError as error:
            if error.code not in {ErrorCode.NOT_FOUND, ErrorCode.ARTIFACT_NOT_FOUND}:
                raise
            out.say(f"({error.message})")


async def point_below(api: ApiClient, task: TaskDTO, out: Output) -> None:
    """A delivery keeps its transcripts and logs with the engineering and the deploy that it started."""
    if out.as_json:
        return
    for below in (await api.tree(task.id)).below:
        out.advise(f"Logs of its {below.kind.value} ({below.state.value}): orchestrator task logs {below.id}")


async def _show_text(api: ApiClient, task: TaskDTO, ref: ArtifactRef, out: Output) -> None:
    offset: int | None = 0
    while offset is not None:
        part = await api.artifact(task.id, ref.sha256, offset)
        out.document({"artifact": ref.uri, "offset": offset, "text": part.text})
        out.say(part.text)
        offset = part.next_offset
