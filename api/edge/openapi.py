"""The API's description says what its replies are: refusals are problem documents."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI

Description = dict[str, Any]

PROBLEM = "application/problem+json"


def install(app: FastAPI) -> None:
    """Describe refusals by their real media type; FastAPI can only say it of all replies."""
    described: Callable[[], Description] = app.openapi
    app.openapi = lambda: _with_problems(described())  # type: ignore[method-assign] # as FastAPI's documentation does


def _with_problems(description: Description) -> Description:
    for operations in description["paths"].values():
        for operation in operations.values():
            for status, reply in operation["responses"].items():
                if status[0] in "45" and "application/json" in reply.get("content", {}):
                    reply["content"] = {PROBLEM: reply["content"]["application/json"]}
            # The routes answer it like every other refusal: the general entry describes it.
            operation["responses"].pop("422", None)
    schemas = description.get("components", {}).get("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return description
