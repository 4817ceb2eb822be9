"""What both stories of a backup share: a repository for it, a platform in another place, a service with books."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from tests.support.ports import free_ports
from tests.support.stack import Stack


@dataclass
class Moved:
    """What was seen of the platform before, and the one after."""

    before: Stack
    after: Stack
    repository: Path
    seen: dict[str, Any] = field(default_factory=dict)


def backup_settings(root: Path) -> dict[str, str]:
    """Variables of a platform that keeps its backups in `root`, which others may enter."""
    root.chmod(0o755)
    password = root / "password"
    password.touch(mode=0o600)
    password.write_text("correct horse battery staple")
    return {
        "ORCHESTRATOR_BACKUP_REPOSITORY": str(root / "repository"),
        "ORCHESTRATOR_BACKUP_PASSWORD_FILE": str(password),
    }


async def restored(before: Stack, home: Path) -> tuple[Stack, dict[str, Any]]:
    """The platform of `before`, which has ended, in another home and at other ports; what the command says."""
    after = replace(before, home=home, port_base=free_ports(4))
    said = await before.ok("backup", "restore", str(home), "--port-base", str(after.port_base), timeout=300)
    return after, said


@asynccontextmanager
async def running(stack: Stack) -> AsyncIterator[None]:
    """`up` and `down --services` of a home that is there already."""
    said = await stack.cli("up", "--detach", timeout=400)
    assert said.code == 0, said.out + said.err
    try:
        yield
    finally:
        await stack.cli("down", "--services", timeout=120)


async def add_book(url: str, title: str) -> None:
    async with httpx.AsyncClient(timeout=5) as visitor:
        reply = await visitor.post(f"{url}/books", json={"title": title, "author": "A", "year": 1999})
        assert reply.status_code in {200, 201}, reply.text


async def titles(url: str) -> list[str]:
    async with httpx.AsyncClient(timeout=5) as visitor:
        books = (await visitor.get(f"{url}/books")).json()
    return [book["title"] for book in (books["items"] if isinstance(books, dict) else books)]
