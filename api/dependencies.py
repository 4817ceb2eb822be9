"""How routes get the long-lived parts of the process: each package declares a dependency for the parts that it owns."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request

from runtime.settings import Settings


def part(name: str) -> Callable[[Request], Awaitable[object]]:
    """A dependency that returns the field `name` of the running application's `api.state.Platform`."""

    # Not a plain function: FastAPI would call that in a thread.
    async def get_part(request: Request) -> object:
        return getattr(request.app.state.platform, name)

    return get_part


SettingsDep = Annotated[Settings, Depends(part("settings"))]
