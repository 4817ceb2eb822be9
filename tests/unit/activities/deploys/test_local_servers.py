"""Servers that are containers of this machine: what belongs to which."""

from pathlib import Path

import pytest

from activities.adapters.servers import container
from activities.adapters.servers.container import LABEL, LocalServers


async def test_a_removed_server_takes_the_keys_of_no_other_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(name: str) -> None:
        assert name

    monkeypatch.setattr(container, "_discard", nothing)
    keys = tmp_path / "keys" / "ssh"
    keys.mkdir(parents=True)
    for handle in ("box", "box-2", "box2"):
        for ending in ("", ".pub", ".known_hosts"):
            (keys / f"{handle}{ending}").touch()
    for _ in range(2):
        await LocalServers(tmp_path).remove("box")
    assert {file.name for file in keys.iterdir()} == {
        f"{handle}{ending}" for handle in ("box-2", "box2") for ending in ("", ".pub", ".known_hosts")
    }


async def test_the_servers_of_another_installation_are_not_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = LocalServers(tmp_path / "mine"), LocalServers(tmp_path / "other")

    async def answer(*arguments: str) -> str:
        assert f"label={LABEL}" in arguments
        return f"{mine.container('box')} box\n{other.container('box')} box\norchestrator-server-layers-1 layers\n"

    monkeypatch.setattr(container.docker, "run", answer)
    assert await mine.handles() == ["box"]
