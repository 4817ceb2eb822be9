"""The repository that the agent works in."""

import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

IDENTITY = {"user.name": "Scripted agent", "user.email": "scripted-agent@localhost"}
GIT_TIMEOUT_S = 120


class WorkspaceError(Exception):
    """The workspace is not what the agent needs, or git refused; the text says what."""


class Workspace:
    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def modules(self) -> tuple[str, ...]:
        """Those that run as a process of their own; `has_pages` tells about `web`."""
        return tuple(name for name in ("backend", "tg_bot") if self._has(name))

    @property
    def has_pages(self) -> bool:
        return self._has("web")

    def _has(self, module: str) -> bool:
        return (self.root / "services" / module).is_dir()

    def read(self, path: str) -> str | None:
        """None when there is no such file. Raises WorkspaceError for one that is not UTF-8."""
        file = self.root / path
        if not file.is_file():
            return None
        try:
            text = file.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError:
            text = "\0"
        if "\0" in text:
            raise WorkspaceError(f"{path} is not a text file in UTF-8; save it as UTF-8")
        return text

    def committed(self, path: str) -> str | None:
        """The file's content in the last commit; None if it does not have the file."""
        return self._git("show", f"HEAD:{path}") if path in self.committed_files(path) else None

    def has(self, path: str) -> bool:
        """Whether the file is there, or in the last commit: a turn that was killed may have removed it."""
        return (self.root / path).is_file() or self.committed(path) is not None

    def committed_files(self, folder: str) -> list[str]:
        """Paths of the Python files below `folder` in the last commit."""
        names = self._git("ls-tree", "-r", "--name-only", "HEAD", "--", folder).splitlines()
        return [name for name in names if name.endswith(".py")]

    def once_had(self, path: str) -> bool:
        """Whether an earlier commit removed the file."""
        return bool(self._git("log", "--max-count=1", "--diff-filter=D", "--format=%H", "--", path))

    def write(self, path: str, content: str) -> None:
        """Replace the file in one step. Raises WorkspaceError for Python that does not compile."""
        if path.endswith(".py"):
            try:
                compile(content, path, "exec")
            except SyntaxError as error:
                raise WorkspaceError(f"{path} would not compile: {error}") from error
        file = self.root / path
        if not file.resolve().is_relative_to(self.root.resolve()):
            raise WorkspaceError(f"{path} leads out of the workspace")
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_name(f".{file.name}.writing")
        temporary.write_text(content, encoding="utf-8")
        temporary.replace(file)

    def remove(self, path: str) -> None:
        (self.root / path).unlink(missing_ok=True)

    def commit(self, paths: Iterable[str], message: str) -> str | None:
        """Commit exactly these paths; the commit id, or None when nothing in them differs from HEAD."""
        known = [path for path in paths if (self.root / path).exists() or self._tracked(path)]
        if not known:
            return None
        self._git("add", "--all", "--", *known)
        if not self._git("diff", "--cached", "--name-only", "--", *known):
            return None
        self._git(*self._identity(), "commit", "--quiet", "--message", message, "--", *known)
        return self._git("rev-parse", "HEAD")

    def uncommitted(self, paths: Iterable[str]) -> list[str]:
        """Which of the paths differ from HEAD: a turn that was killed may have left them."""
        return [path for path in paths if self._git("status", "--porcelain", "--", path)]

    def changed(self) -> list[str]:
        """The files of the last commit that differ from it, or are gone."""
        return self._git("diff", "--name-only", "--no-renames", "HEAD", "--").splitlines() if self._has_commit() else []

    def _has_commit(self) -> bool:
        return bool(self._git("rev-parse", "--quiet", "--verify", "--revs-only", "HEAD"))

    def _tracked(self, path: str) -> bool:
        return bool(self._git("ls-files", "--", path))

    def _identity(self) -> list[str]:
        missing = {key: value for key, value in IDENTITY.items() if not self._configured(key)}
        return [part for key, value in missing.items() for part in ("-c", f"{key}={value}")]

    def _configured(self, key: str) -> bool:
        done = subprocess.run(["git", "config", key], cwd=self.root, capture_output=True, check=False)
        return done.returncode == 0 and bool(done.stdout.strip())

    def _git(self, *arguments: str) -> str:
        environment: Mapping[str, str] = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
        try:
            done = subprocess.run(
                ["git", *arguments], cwd=self.root, env=environment, capture_output=True, text=True,
                timeout=GIT_TIMEOUT_S, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise WorkspaceError(f"git {arguments[0]}: {error}") from error
        if done.returncode != 0:
            raise WorkspaceError(f"git {arguments[0]}: {(done.stderr or done.stdout).strip()[:500]}")
        return done.stdout.strip()
