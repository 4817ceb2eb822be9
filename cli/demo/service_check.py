"""Uses a deployed service as any outside client would: its health, its own description, and one record of each kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx

from contracts.errors import ErrorClass, ErrorCode, OrchestratorError

_TIMEOUT_S = 10.0
_EXAMPLES: dict[str, object] = {"string": "hello", "integer": 1, "number": 1.5, "boolean": True}
_BY_FORMAT: dict[str, object] = {"date": "2026-01-31", "date-time": "2026-01-31T12:00:00Z"}


@dataclass(frozen=True)
class Answer:
    """One real answer. `excerpt` is the start of its body."""

    method: str
    path: str
    status: int
    excerpt: str

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300

    def as_document(self) -> dict[str, object]:
        return {"method": self.method, "path": self.path, "status": self.status, "excerpt": self.excerpt}


async def visit(url: str) -> list[Answer]:
    """GET /health, then what its OpenAPI names: one POST with example values and the list after it.

    Raises OrchestratorError PROBE_FAILED if the URL does not answer.
    """
    try:
        async with httpx.AsyncClient(base_url=url, timeout=_TIMEOUT_S, trust_env=False) as http:
            answers = [await _ask(http, "GET", "/health")]
            described = await http.get("/openapi.json")
            if described.is_success:
                answers += await _use(http, described.json())
    except (httpx.HTTPError, ValueError) as error:
        raise OrchestratorError(
            ErrorCode.PROBE_FAILED,
            f"{url} was reported as live, but it does not answer now ({type(error).__name__}). "
            "See `orchestrator deploy status PROJECT`.",
            error_class=ErrorClass.TRANSIENT,
        ) from error
    return answers


async def _use(http: httpx.AsyncClient, document: dict[str, Any]) -> list[Answer]:
    """Create one record in each collection, then read the collection."""
    answers = []
    for path, operations in document.get("paths", {}).items():
        if "{" in path or "post" not in operations or path.startswith("/admin"):
            continue
        schema = operations["post"].get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
        if schema is None:
            continue
        answers.append(await _ask(http, "POST", path, _example(schema, document)))
        if "get" in operations:
            answers.append(await _ask(http, "GET", path))
    return answers


async def _ask(http: httpx.AsyncClient, method: str, path: str, body: object = None) -> Answer:
    response = await http.request(method, path, json=body)
    return Answer(method, path, response.status_code, " ".join(response.text.split())[:200])


def _example(schema: dict[str, Any], document: dict[str, Any], depth: int = 0) -> object:
    """A value that fits a schema of OpenAPI, as far as simple services need it."""
    if depth > 5:
        return None
    if reference := schema.get("$ref"):
        name = str(reference).rsplit("/", 1)[-1]
        return _example(document.get("components", {}).get("schemas", {}).get(name, {}), document, depth + 1)
    for choice in schema.get("anyOf", []):
        if choice.get("type") != "null":
            return _example(choice, document, depth + 1)
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "string")
    if kind == "object":
        fields = schema.get("properties", {})
        return {name: _example(field, document, depth + 1) for name, field in fields.items()}
    if kind == "array":
        return []
    return _BY_FORMAT.get(str(schema.get("format")), _EXAMPLES.get(kind))
