"""The real keys: from the environment, from a file, or from the vault. Nothing else of the platform has them."""

import asyncio
from pathlib import Path

from pydantic import SecretStr

from api.database import Sessions
from api.vault import Vault
from runtime import private_files
from runtime.model_vendors import ANTHROPIC, KEY_NAMES, OPENAI
from runtime.observability.logging import register_secret
from runtime.settings import Settings

_LOOK_AGAIN_S = 5.0


class Keys:
    """One key for each account, or none. The environment counts before a file, and that before the vault.

    A key that is stored or replaced in the vault is used within five seconds.
    """

    def __init__(self, settings: Settings, sessions: Sessions, vault: Vault) -> None:
        self._given = {
            ANTHROPIC: _given(settings.anthropic_api_key, settings.anthropic_api_key_file),
            OPENAI: _given(settings.openai_api_key, settings.openai_api_key_file),
        }
        self._sessions = sessions
        self._vault = vault
        self._stored: dict[str, tuple[float, str | None]] = {}

    async def key(self, account: str) -> str | None:
        """The key of an account; None when nobody has given one."""
        given = self._given[account]
        if given is not None:
            return given
        now = asyncio.get_running_loop().time()
        looked, key = self._stored.get(account, (-_LOOK_AGAIN_S, None))
        if now - looked >= _LOOK_AGAIN_S:
            async with self._sessions() as session:
                key = await self._vault.reveal_platform(session, KEY_NAMES[account])
            key = _usable(key)
            self._stored[account] = now, key
        return key


def _given(key: SecretStr | None, file: Path | None) -> str | None:
    """Raises OrchestratorError for a file that is not there or that others can read. An empty one is no key."""
    if key is not None:
        return _usable(key.get_secret_value())
    # Compose mounts a file for each key, and an empty one belongs to whoever has made it.
    is_filled = file is not None and not (file.exists() and file.stat().st_size == 0)
    return _usable(private_files.read(file)) if file is not None and is_filled else None


def _usable(key: str | None) -> str | None:
    """The key without the line end of its file; never written to a log."""
    stripped = (key or "").strip()
    register_secret(stripped)
    return stripped or None
