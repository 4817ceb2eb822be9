"""Repositories over HTTP, for Git: whoever sees a project reads it, whoever works on it pushes branches of tasks."""

import re
from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import PlainTextResponse, Response

from api.audit.trail import Act, audited
from api.auth import Caller, PersonWithKey
from api.database import Session
from api.dependencies import SettingsDep, part
from api.git import push_rules, queries
from api.git.backend import GitBackend, GitRequest
from api.problems import not_found, permanent
from contracts.errors import ErrorCode, OrchestratorError
from contracts.project_spec import ProjectSlug
from runtime.settings import GIT_PATH, LOCAL_FORGE, Settings

router = APIRouter(prefix=GIT_PATH, include_in_schema=False, default_response_class=Response)

Service = Literal["git-upload-pack", "git-receive-pack"]
Slug = Annotated[ProjectSlug, Path()]
BackendDep = Annotated[GitBackend, Depends(part("git"))]
_PROTOCOL = re.compile(r"version=[0-9]\Z")


@router.get("/{slug}.git/info/refs")
async def list_refs(
    slug: Slug,
    service: Annotated[Service, Query()],
    request: Request,
    session: Session,
    caller: PersonWithKey,
    settings: SettingsDep,
    backend: BackendDep,
) -> Response:
    """What there is to fetch, or where a push may go."""
    try:
        repository = await _repository(session, caller, settings, slug, to_push=service == "git-receive-pack")
    except OrchestratorError as error:
        return _in_words(error)
    await session.commit()
    asked = _asked(request, f"/{repository}.git/info/refs", caller.user_id, query=f"service={service}")
    return await backend.answer(asked, request.stream())


@router.post("/{slug}.git/git-upload-pack")
async def fetch(
    slug: Slug,
    request: Request,
    session: Session,
    caller: PersonWithKey,
    settings: SettingsDep,
    backend: BackendDep,
) -> Response:
    """What the person has not got yet."""
    try:
        repository = await _repository(session, caller, settings, slug, to_push=False)
    except OrchestratorError as error:
        return _in_words(error)
    # No database connection is held while Git works.
    await session.commit()
    return await backend.answer(_asked(request, f"/{repository}.git/git-upload-pack", caller.user_id), request.stream())


@router.post("/{slug}.git/git-receive-pack")
async def push(
    act: Annotated[Act, audited("git.push")],
    slug: Slug,
    request: Request,
    session: Session,
    caller: PersonWithKey,
    settings: SettingsDep,
    backend: BackendDep,
) -> Response:
    """New commits for branches of tasks. Nothing of the body is read before it is known who sends it."""
    try:
        repository = await _repository(session, caller, settings, slug, to_push=True)
    except OrchestratorError as error:
        act.tell(refused=error.code.value)
        return _in_words(error)
    await session.commit()
    body = request.stream()
    begin, refused = await _commands(request, body)
    if refused:
        act.tell(refused=" ".join(refused))
        return await _refused(refused, body)
    asked = _asked(request, f"/{repository}.git/git-receive-pack", caller.user_id)
    return await backend.answer(asked, _joined(begin, body))


async def _repository(session: Session, caller: Caller, settings: Settings, slug: str, *, to_push: bool) -> str:
    if settings.forge != LOCAL_FORGE:
        raise not_found("repository", slug)
    return await queries.find_repository(session, caller, slug, to_push=to_push)


def _asked(request: Request, path: str, user_id: int, query: str = "") -> GitRequest:
    protocol = request.headers.get("git-protocol", "")
    return GitRequest(
        path=path,
        method=request.method,
        query=query,
        content_type=request.headers.get("content-type", ""),
        encoding=request.headers.get("content-encoding", ""),
        protocol=protocol if _PROTOCOL.match(protocol) else "",
        user=str(user_id),
    )


async def _commands(request: Request, body: AsyncIterator[bytes]) -> tuple[bytes, list[str]]:
    """The beginning of a push, with all its commands, and the refs in it that may not be changed."""
    if request.headers.get("content-encoding"):
        raise permanent(ErrorCode.INVALID_INPUT, "Send the push as it is, without a Content-Encoding.")
    begin = b""
    while (refused := push_rules.refused_refs(begin)) is None:
        chunk = await anext(body, b"")
        begin += chunk
        if not chunk or len(begin) > push_rules.MAX_COMMANDS_BYTES + 1_000_000:
            raise permanent(ErrorCode.INVALID_INPUT, "This is not a push, or it changes too many branches at once.")
    return begin, refused


async def _refused(refs: list[str], body: AsyncIterator[bytes]) -> Response:
    # Git reads the answer once it has sent everything.
    async for _ in body:
        pass
    return Response(push_rules.refusal(refs), media_type="application/x-git-receive-pack-result")


async def _joined(begin: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield begin
    async for chunk in rest:
        yield chunk


def _in_words(error: OrchestratorError) -> Response:
    """Git shows people the text of a refusal only if it is plain text."""
    return PlainTextResponse(f"{error.message}\n", error.http_status)
