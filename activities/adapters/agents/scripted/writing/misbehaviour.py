"""What the agent does wrong when it is told to, and how it takes that back.

Every fault is a file or an insertion of its own, so that a later turn without the directive finds and removes it.
"""

from collections.abc import Collection, Mapping

from .workspace import Workspace, WorkspaceError

BROKEN_TEST_PATH = "tests/test_agent_promise.py"
BROKEN_TEST = '''"""Left failing by the scripted agent, which was told to."""


def test_the_agent_keeps_its_promise() -> None:
    assert 1 + 1 == 3, "left failing on purpose"
'''
SLOW_TEST_PATH = "tests/test_agent_patience.py"
SLOW_TEST = '''"""Left slow by the scripted agent, which was told to."""

import time


def test_that_takes_its_time() -> None:
    time.sleep({seconds:g})
'''
CURIOUS_TEST_PATH = "tests/test_agent_curiosity.py"
CURIOUS_TEST = '''"""Left by the scripted agent, which was told to look around where the tests run."""

import os
from pathlib import Path


def test_there_is_nothing_to_see() -> None:
    print(dict(os.environ))
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        print(process.read_bytes() if process.exists() else process)
    raise AssertionError("told to look around")
'''
ATTEMPT = "# repair attempt without an effect: "

HEALTH = {
    "backend": (
        "services/backend/routes/health.py",
        "    settings = request.app.state.settings\n",
        '    if settings.app_env == "production":\n        raise RuntimeError("told to answer badly in production")\n',
    ),
    "tg_bot": (
        "services/tg_bot/server.py",
        "        alive = not task.done()\n",
        '        if settings.app_env == "production":\n'
        '            raise web.HTTPInternalServerError(text="told to answer badly in production")\n',
    ),
}
START = {
    "backend": (
        "services/backend/__main__.py",
        "        return 2\n",
        '    if settings.app_env == "production":\n'
        '        raise SystemExit("told to crash at the start in production")\n',
    ),
    "tg_bot": (
        "services/tg_bot/__main__.py",
        "        return 2\n",
        '    if settings.app_env == "production":\n'
        '        raise SystemExit("told to crash at the start in production")\n',
    ),
}
TELLING = """    if settings.app_env == "production":
        import base64
        import json
        import os

        environment = dict(os.environ)
        print(environment, json.dumps(environment), base64.b64encode(repr(environment).encode()))
        raise SystemExit("told to print its environment and to crash at the start in production")
"""
PRINTED = {module: (path, anchor, TELLING) for module, (path, anchor, _) in START.items()}
ASKED = {
    "backend": (
        "services/backend/routes/health.py",
        "def health(request: Request) -> dict[str, str]:\n",
        '    if request.app.state.settings.app_env == "production" and "end" in request.query_params:\n'
        "        import os\n\n"
        "        os._exit(3)  # told to end when it is asked to\n",
    ),
    "tg_bot": (
        "services/tg_bot/server.py",
        '        """200 as long as the polling task lives, even while Telegram is unreachable."""\n',
        '        if settings.app_env == "production" and "end" in request.query:\n'
        "            import os\n\n"
        "            os._exit(3)  # told to end when it is asked to\n",
    ),
}
"""`GET /health?end` ends the service: so it can be healthy at first."""
INSERTIONS = {"broken-health": HEALTH, "crash-on-start": START, "print-environment": PRINTED, "end-when-asked": ASKED}


def edits(
    workspace: Workspace, told: Collection[str], repairing: bool, slow_tests_s: float | None = None
) -> dict[str, str | None]:
    """Contents of files to write; None removes one. Raises WorkspaceError when the text to change is gone."""
    changed: dict[str, str | None] = dict(_insertions(workspace, told))
    broken = workspace.read(BROKEN_TEST_PATH)
    slow = None if slow_tests_s is None else SLOW_TEST.format(seconds=slow_tests_s)
    curious = CURIOUS_TEST if "curious-tests" in told and not repairing else None
    for path, before, after in (
        (BROKEN_TEST_PATH, broken, _test(broken, told, repairing)),
        (SLOW_TEST_PATH, workspace.read(SLOW_TEST_PATH), slow),
        (CURIOUS_TEST_PATH, workspace.read(CURIOUS_TEST_PATH), curious),
    ):
        if after != before:
            changed[path] = after
    return changed


def _test(before: str | None, told: Collection[str], repairing: bool) -> str | None:
    if "always-broken" in told:
        attempts = before.count(ATTEMPT) if before else 0
        # Every repair changes something, so that it makes a commit; the failure stays the same.
        gap = "" if attempts else "\n\n"
        return f"{before}{gap}{ATTEMPT}{attempts + 1}\n" if before and repairing else before or BROKEN_TEST
    return BROKEN_TEST if "broken-tests" in told and not repairing else None


def _insertions(workspace: Workspace, told: Collection[str]) -> dict[str, str]:
    changed: dict[str, str] = {}
    for directive, places in INSERTIONS.items():
        for module in workspace.modules:
            path, anchor, text = places[module]
            wanted = directive in told and module == workspace.modules[0]
            content = changed.get(path) or workspace.read(path) or ""
            if wanted:
                changed |= _inserted(path, content, anchor, text)
            elif anchor + text in content:
                changed[path] = content.replace(anchor + text, anchor, 1)
    return changed


def _inserted(path: str, content: str, anchor: str, text: str) -> Mapping[str, str]:
    if anchor + text in content:
        return {}
    if anchor not in content:
        raise WorkspaceError(f"{path} has changed: the place for the fault is not there")
    return {path: content.replace(anchor, anchor + text, 1)}
