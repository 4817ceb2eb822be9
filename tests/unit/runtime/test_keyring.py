"""Key files: made once, private, rotated without losing anything."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from contracts.errors import ErrorCode, OrchestratorError
from runtime import keyring
from runtime.keyring import KeyRing


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys" / "payload.json"
    assert keyring.create_if_absent(path)
    return path


def test_a_new_key_file_is_private_and_is_never_overwritten(key_file: Path) -> None:
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert key_file.parent.stat().st_mode & 0o777 == 0o700
    before = key_file.read_bytes()
    assert not keyring.create_if_absent(key_file)
    assert key_file.read_bytes() == before
    assert [path.name for path in key_file.parent.iterdir()] == ["payload.json"]


def test_processes_that_create_concurrently_agree_on_one_key(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "payload.json"
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        made = list(pool.map(keyring.create_if_absent, [path] * 16))
    assert made.count(True) == 1
    assert len(json.loads(path.read_text())["keys"]) == 1


def test_a_rotation_adds_an_active_key_and_keeps_the_old_one(key_file: Path) -> None:
    old_id, old_key = KeyRing.load(key_file).active
    new_id = keyring.rotate(key_file)
    ring = KeyRing.load(key_file)
    assert ring.active[0] == new_id != old_id
    assert ring.key(old_id) == old_key
    assert key_file.stat().st_mode & 0o777 == 0o600


def test_concurrent_rotations_lose_no_key(key_file: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: keyring.rotate(key_file), range(24)))
    assert made < set(json.loads(key_file.read_text())["keys"])
    assert len(made) == 24


def test_a_loaded_ring_learns_of_a_rotation(key_file: Path) -> None:
    encoding, decoding = KeyRing.load(key_file), KeyRing.load(key_file)
    new_id = keyring.rotate(key_file)
    assert encoding.active[0] == new_id
    assert decoding.key(new_id) == encoding.active[1]


def test_a_ring_keeps_what_it_has_when_its_file_disappears(key_file: Path) -> None:
    ring = KeyRing.load(key_file)
    before = ring.active
    key_file.unlink()
    assert ring.active == before


def test_an_unknown_key_has_a_stable_code(key_file: Path) -> None:
    with pytest.raises(OrchestratorError, match="key-of-somebody-else") as caught:
        KeyRing.load(key_file).key("key-of-somebody-else")
    assert caught.value.code == ErrorCode.PAYLOAD_KEY_UNKNOWN


def test_a_key_file_that_others_may_read_is_refused_with_the_cure(key_file: Path) -> None:
    key_file.chmod(0o640)
    with pytest.raises(OrchestratorError, match="chmod 600") as caught:
        KeyRing.load(key_file)
    assert caught.value.code == ErrorCode.KEY_FILE_UNSAFE
    with pytest.raises(OrchestratorError, match="chmod 600"):
        keyring.rotate(key_file)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"active": "a", "keys": {}}',
        '{"active": "a", "keys": {"a": "c2hvcnQ="}}',
        '{"active": "a", "keys": {"a": "***"}}',
    ],
)
def test_a_damaged_key_file_is_refused_and_not_quoted(key_file: Path, content: str) -> None:
    key_file.write_text(content)
    with pytest.raises(OrchestratorError, match="is damaged") as caught:
        KeyRing.load(key_file)
    assert caught.value.code == ErrorCode.KEY_FILE_UNSAFE
    assert "c2hvcnQ=" not in caught.value.message


def test_a_missing_key_file_says_what_makes_it(tmp_path: Path) -> None:
    with pytest.raises(OrchestratorError, match="orchestrator up") as caught:
        KeyRing.load(tmp_path / "payload.json")
    assert caught.value.code == ErrorCode.NOT_FOUND
