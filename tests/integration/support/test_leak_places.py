"""The scan for secrets can fail: in each place where it looks, a value that was put there in the open is reported."""

import asyncio
import gzip
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.client import Client

from activities.adapters.servers.container import BASE_IMAGE
from runtime.keyring import KeyRing, create_if_absent
from runtime.settings import Settings
from runtime.temporal.client import connect
from tests.secrets import places
from tests.secrets.canaries import Canary, new_canary
from tests.secrets.containers import Engine
from tests.secrets.scan import Allowed, Scan
from tests.secrets.watch import EngineWatch, FileWatch, ProcessWatch, watching
from tests.support.api import new_database
from tests.support.eventually import eventually
from tests.support.patience import patience
from tests.support.services.container_service import no_engine
from tests.support.workflows.temporal_server import running_temporal_server

CANARY = new_canary("planted")


@pytest.fixture
def scan() -> Scan:
    return Scan([CANARY], [])


def found_in(scan: Scan) -> set[str]:
    return {leak.place for leak in scan.leaks}


async def test_in_files_and_in_their_names(scan: Scan, tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "some.gz").write_bytes(gzip.compress(CANARY.value))
    (tmp_path / "some.log").write_text(f"before\n{CANARY.text}\nafter")
    (tmp_path / "harmless").write_text("nothing")
    name = CANARY.text[:20]
    (tmp_path / name).symlink_to("nowhere")
    places.look_at_files(scan, "home", tmp_path)
    assert found_in(scan) == {"home: deep/er/some.gz", "home: some.log", "names of files: home"}


def test_in_a_log_that_grows_while_it_is_watched(scan: Scan, tmp_path: Path) -> None:
    log, seen = tmp_path / "some.log", dict[Path, places.Stamp]()
    log.write_bytes(b"x" * 100_000 + CANARY.value[:30])
    places.look_at_files(scan, "home", tmp_path, seen=seen)
    with log.open("ab") as file:
        file.write(CANARY.value[30:])
    places.look_at_files(scan, "home", tmp_path, seen=seen)
    assert found_in(scan) == {"home: some.log"}


def test_in_a_file_that_was_there_for_a_second_only(scan: Scan, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    with FileWatch(scan, tmp_path) as watch:
        (tmp_path / "runs" / "input.json").write_bytes(CANARY.value)
        until = watch.looks + 3
        while watch.looks < until:
            pass
        (tmp_path / "runs" / "input.json").unlink()
    assert found_in(scan) == {"home, runs: input.json"}


def test_an_allowed_place_counts_only_when_its_file_is_private(tmp_path: Path) -> None:
    allowed = Allowed(r"home: \w+\.env", "planted", "a test")
    for name, mode in (("private.env", 0o600), ("open.env", 0o640)):
        (tmp_path / name).write_bytes(CANARY.value)
        (tmp_path / name).chmod(mode)
    scan = Scan([CANARY], [allowed])
    places.look_at_files(scan, "home", tmp_path)
    assert found_in(scan) == {"home: open.env"}
    assert scan.kept_in(r"home: private\.env") == {"planted"}


def test_in_a_database_of_files(scan: Scan, tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "some.db")
    with database:
        database.execute("CREATE TABLE things (id INT, what BLOB)")
        database.execute("INSERT INTO things VALUES (1, ?)", [gzip.compress(b"x" * 10_000 + CANARY.value)])
    places.look_at_sqlite(scan, "rows", tmp_path / "some.db")
    database.close()
    assert found_in(scan) == {"rows: things"}


async def test_in_postgresql_also_where_it_compresses_what_it_stores(scan: Scan) -> None:
    import asyncpg

    url = await new_database()
    connection = await asyncpg.connect(url.replace("+asyncpg", "", 1))
    try:
        await connection.execute("CREATE TABLE plain (what TEXT); CREATE TABLE document (what JSONB)")
        await connection.execute("CREATE TABLE binary_one (what BYTEA); CREATE TABLE list_one (what TEXT[])")
        long = "the same again and again " * 10_000 + CANARY.text
        for table, value in (("plain", long), ("list_one", [CANARY.text]), ("binary_one", gzip.compress(CANARY.value))):
            await connection.execute(f"INSERT INTO {table} VALUES ($1)", value)
        await connection.execute("INSERT INTO document VALUES (jsonb_build_object('a', $1::text))", CANARY.text)
        await connection.execute(f"SELECT 'a comment' /* {CANARY.text[:20]} */")
        await places.look_at_postgres(scan, "rows", url)
    finally:
        await connection.close()
    tables = {"plain", "document", "list_one", "binary_one", "binary_one.what"}
    assert found_in(scan) == {*(f"rows: public.{table}" for table in tables), "rows: pg_catalog.pg_stat_activity"}


@pytest.fixture
async def clients(tmp_path: Path) -> AsyncIterator[tuple[Client, Client]]:
    """One that encrypts, and one that does not."""
    create_if_absent(tmp_path / "keys.json")
    async with running_temporal_server(tmp_path / "temporal") as address:
        settings = Settings(home=tmp_path, temporal_port=int(address.rpartition(":")[2]))
        yield await connect(settings, keyring=KeyRing.load(tmp_path / "keys.json")), await Client.connect(address)


async def test_in_histories_encrypted_ones_too(scan: Scan, clients: tuple[Client, Client], tmp_path: Path) -> None:
    encrypting, plain = clients
    queue = uuid4().hex
    await encrypting.start_workflow("sealed", CANARY.text, id="sealed", task_queue=queue)
    await plain.start_workflow("open", CANARY.text, id="open", task_queue=queue)
    await plain.start_workflow("memo", "x", id="memo", task_queue=queue, memo={"note": CANARY.text})
    await plain.start_workflow("summary", "x", id="summary", task_queue=queue, static_summary=CANARY.text)

    async def listed() -> bool:
        return len([one async for one in encrypting.list_workflows()]) == 4

    await eventually(listed)
    assert await places.look_at_temporal(scan, encrypting) >= 5
    assert found_in(scan) == {
        *(f"temporal, decrypted: {name}" for name in ("sealed", "open", "memo", "summary")),
        *(f"temporal, as stored: {name}" for name in ("open", "memo", "summary")),
    }
    scan.leaks.clear()
    places.look_at_sqlite(scan, "rows", tmp_path / "temporal" / "temporal.db")
    assert "rows: history_node" in found_in(scan)


def test_in_a_commit_that_nothing_points_to_any_more(scan: Scan, tmp_path: Path) -> None:
    bare = tmp_path / "forge" / "u1" / "some.git"
    run = ["git", "-c", "user.name=A", "-c", "user.email=a@localhost", f"--git-dir={bare}"]
    subprocess.run(["git", "init", "--quiet", "--bare", str(bare)], check=True)
    blob = [*run, "hash-object", "-w", "--stdin"]
    subprocess.run(blob, input=CANARY.value, check=True, capture_output=True)
    assert asyncio.run(places.look_at_repositories(scan, "git objects", tmp_path / "forge")) == 1
    assert found_in(scan) == {"git objects: u1/some.git"}


def live_for_two_looks(watch: ProcessWatch, *command: str, **env: str) -> None:
    """A process that is there for as long as the watch looks twice, and then ends by itself."""
    with subprocess.Popen(command, env={**os.environ, **env}, stdin=subprocess.PIPE) as process:
        last = watch.looks + 2
        deadline = time.monotonic() + patience(10)
        while watch.looks < last:
            assert time.monotonic() < deadline, "the watch looks no more"
            time.sleep(0.01)
        assert process.poll() is None


def test_in_the_arguments_and_the_environment_of_a_process_that_lived_for_two_looks(scan: Scan) -> None:
    cat = shutil.which("cat") or "cat"
    with ProcessWatch(scan) as watch:
        live_for_two_looks(watch, sys.executable, "-c", "import sys; sys.stdin.read()", CANARY.text)
        live_for_two_looks(watch, cat, PASSED=CANARY.text)
    program = Path(sys.executable).name
    assert f"arguments of processes: {program}" in found_in(scan)
    assert "environments of processes: cat" in found_in(scan)


def test_in_what_was_seen_before_it_was_known_to_be_secret() -> None:
    scan = Scan([], [])
    with ProcessWatch(scan) as watch:
        live_for_two_looks(watch, sys.executable, "-c", "import sys; sys.stdin.read()", CANARY.text)
    assert not scan.leaks
    scan.knows([CANARY])
    assert found_in(scan) == {f"arguments of processes: {Path(sys.executable).name}"}


@pytest.fixture
def engine() -> Engine:
    obstacle = no_engine()
    if obstacle is not None:
        pytest.skip(obstacle)
    return Engine("machine")


def new_name() -> str:
    return f"leak-{uuid4().hex[:8]}"


DOCKERFILE = """
FROM {base}
COPY secret.txt /tmp/secret.txt
RUN rm /tmp/secret.txt
LABEL note={label}
"""


@pytest.mark.deep
async def test_around_containers(engine: Engine, tmp_path: Path) -> None:
    known = {place: new_canary(place) for place in ("env", "argv", "log", "file", "volume", "layer", "label", "exec")}
    scan, name = Scan(list(known.values()), []), new_name()
    (tmp_path / "secret.txt").write_bytes(known["layer"].value)
    (tmp_path / "Dockerfile").write_text(DOCKERFILE.format(base=BASE_IMAGE, label=known["label"].text[:24]))
    engine.knows_layers_of(BASE_IMAGE)
    watch = EngineWatch(scan, engine)
    watch.mine, watch.paths = {name}, ["/volume", "/var/tmp"]
    try:
        with watching(watch):
            await asyncio.sleep(0.5)
            await asyncio.to_thread(_plant, name, known, tmp_path)
            await eventually(lambda: any(leak.canary == "volume" for leak in scan.leaks), 30)
        engine.look_at_images(scan, [name])
    finally:
        for words in (("rm", "--force", "--volumes", name), ("volume", "rm", name), ("rmi", "--force", name)):
            engine.docker(*words)
    where = {canary: {one.place.partition(":")[0] for one in scan.leaks if one.canary == canary} for canary in known}
    assert "machine, docker inspect" in where["env"] & where["argv"]
    assert "machine, docker logs" in where["log"]
    assert "machine, docker events" in where["exec"]
    assert where["file"] == where["volume"] == {"machine, files of containers"}
    assert where["layer"] == {"machine, image layers"}
    assert "machine, docker history" in where["label"]


def _plant(name: str, known: dict[str, Canary], context: Path) -> None:
    def docker(*words: str, stdin: bytes = b"") -> None:
        subprocess.run(["docker", *words], input=stdin, check=True, capture_output=True)

    docker("build", "--quiet", "--tag", name, str(context))
    script = (
        "test -s /volume/secret || exec sh -c 'cat > /volume/secret'; until [ -e /var/tmp/end ]; do sleep 0.05; done"
    )
    docker(
        "create", "--interactive", "--name", name, "--env", f"SOME={known['env'].text}", "--volume", f"{name}:/volume",
        BASE_IMAGE, "sh", "-c", script, known["argv"].text,
    )  # fmt: skip
    docker("start", "--interactive", "--attach", name, stdin=known["volume"].value)
    docker("start", name)
    docker("exec", name, "sh", "-c", f"echo {known['exec'].text[:24]} > /dev/null")
    docker("exec", "--interactive", name, "sh", "-c", "cat > /var/tmp/secret", stdin=known["file"].value)
    docker("exec", "--interactive", name, "sh", "-c", "cat > /proc/1/fd/1", stdin=known["log"].value)
    docker("exec", name, "touch", "/var/tmp/end")
    docker("wait", name)
