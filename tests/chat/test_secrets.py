"""Secrets that are typed into a chat: in the secret store and the service, and nowhere else."""

import asyncio
import base64
import gzip
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from tests.secrets.canaries import known_canary
from tests.secrets.net import Net
from tests.secrets.places import look_at_temporal
from tests.secrets.scan import Scan
from tests.support.outside import files_below
from tests.support.people.chat import ChatSystem, ChatUser, link
from tests.support.stack import Stack

pytestmark = pytest.mark.timeout(300)

WISH = "Make a list of payments: title [agent:needs-secret=PAYMENT_KEY]"


async def waiting_for_a_secret(system: ChatSystem, name: str) -> ChatUser:
    user = await system.member("en", name)
    user.say(WISH)
    await user.sees("PAYMENT_KEY", "delete your message", timeout=200)
    return user


async def test_a_typed_secret_is_in_the_store_only(system: ChatSystem) -> None:
    ann = await waiting_for_a_secret(system, "Ann")
    screen = await ann.sees("PAYMENT_KEY")
    value = f"sk-{uuid4().hex}"
    said = ann.say(value)
    update = system.telegram.last_update()
    await ann.sees("🔐 Saved: PAYMENT_KEY. I've deleted your message.")
    assert ann.chat.find(said.id) is None
    done = await ann.sees("Ready", timeout=240)
    assert done.id == screen.id
    assert link(done)

    # The same update again, and the same secret again by hand: neither is a wish.
    system.telegram.updates.repeat(update)
    twice = ann.say(value)
    await ann.sees("may be a secret, but")
    assert ann.chat.find(twice.id) is None
    assert len(await system.tasks_of(ann)) == 1
    await asyncio.sleep(0)
    assert all(value not in message.text for message in ann.chat.screen)
    assert await places_of(system.stack, value) == []


@pytest.mark.deep
async def test_the_bot_says_so_if_it_cannot_delete_a_message(system: ChatSystem) -> None:
    bob = await waiting_for_a_secret(system, "Bob")
    system.telegram.updates.hold()
    said = bob.say(f"PAYMENT_KEY=sk-{uuid4().hex}")
    bob.chat.undeletable.add(said.id)
    system.telegram.updates.release()
    await bob.sees("I couldn't delete your message")
    await bob.sees("Ready", timeout=240)


@pytest.mark.deep
async def test_a_question_about_a_secret_can_be_stopped_in_words(system: ChatSystem) -> None:
    cid = await waiting_for_a_secret(system, "Cid")
    cid.say("stop")
    await cid.sees("not completed", timeout=60)


async def places_of(stack: Stack, value: str) -> list[str]:
    """Where a value is found, however it is written or packed: files of the platform with logs and databases; rows."""
    net = Net([known_canary("typed secret", value)])
    files = [path for path in files_below(stack.home) if not _of_the_service(path)]
    found = [str(path) for path in files if await asyncio.to_thread(_holds, net, path)]
    connection = await asyncpg.connect(_database_url(stack))
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for table in (row["tablename"] for row in tables):
            rows = await connection.fetch(f'SELECT t::text FROM "{table}" AS t')
            found += [table] if any(net.hits(row[0].encode()) for row in rows) else []
    finally:
        await connection.close()
    return found + await histories_with(stack, value)


async def histories_with(stack: Stack, text: str) -> list[str]:
    """Workflows whose history holds a text once it is decrypted."""
    scan = Scan([known_canary("text", text)], [])
    assert await look_at_temporal(scan, await stack.client()) > 0
    return sorted({leak.place for leak in scan.leaks})


def _holds(net: Net, path: Path) -> bool:
    try:
        return bool(net.hits(path.read_bytes()))
    except FileNotFoundError:
        return False


async def test_the_search_finds_a_leaked_secret(system: ChatSystem) -> None:
    """Proves that the search can fail."""
    value = f"sk-{uuid4().hex}"
    planted = system.stack.home / "logs" / "planted.log"
    planted.write_bytes(gzip.compress(base64.b64encode(value.encode())))
    try:
        assert await places_of(system.stack, value) == [str(planted)]
    finally:
        planted.unlink()
    assert await histories_with(system.stack, "Make a list of payments") != [], "other texts are in histories"


def _of_the_service(path: Path) -> bool:
    """The deployed service has its secret in its environment file, which is the purpose of it all."""
    return "services" in path.parts and path.suffix == ".env"


def _database_url(stack: Stack) -> str:
    from runtime.embedded import postgres

    settings = stack.settings
    return postgres.prepare(settings.postgres_dir, settings.postgres_port).url.replace("+asyncpg", "", 1)
