"""Taking up what people have pushed to a work branch: a merge in the workspace, by git as the agent's user.

The platform gives the commits as a bundle and trusts nothing of what the merge says: whatever the agent has put into
its repository runs there. What is pushed afterwards is checked as always.
"""

from __future__ import annotations

from pathlib import Path

from activities.adapters.forge.git import Git
from activities.adapters.forge.mirror import checked_branch, unreadable
from activities.adapters.runs.follower import readable
from activities.ports import Mirror
from contracts.errors import ErrorCode, OrchestratorError, bounded, bounded_list
from contracts.worker_steps import PUSHED, BranchTakeUp, TakenUp

BUNDLE = ".orchestrator-pushed.bundle"
"""In the root of a workspace, for as long as the merge takes."""
_MAX_FILES = 200
_NAMED = "orchestrator"
_SCRIPT = f"""
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=core.hooksPath GIT_CONFIG_VALUE_0=/dev/null GIT_CONFIG_GLOBAL=/dev/null
export GIT_MERGE_AUTOEDIT=no GIT_TERMINAL_PROMPT=0
export GIT_COMMITTER_NAME={_NAMED} GIT_COMMITTER_EMAIL={_NAMED}@localhost
export GIT_AUTHOR_NAME={_NAMED} GIT_AUTHOR_EMAIL={_NAMED}@localhost
git fetch --quiet --no-tags "$2" "+refs/heads/$1:{PUSHED}"
fetched=$?
rm -f "$2"
test $fetched = 0 || exit 3
if git merge-base --is-ancestor {PUSHED} HEAD; then echo same; exit 0; fi
before=$(git rev-parse HEAD) || exit 3
said=$(git merge --quiet -m "Merge what was pushed to $1" {PUSHED} 2>&1)
if test $? = 0; then echo taken; git diff --name-only "$before" HEAD; exit 0; fi
echo conflict
git diff --name-only --diff-filter=U
git merge --abort 2>/dev/null || printf '%s\\n' "$said"
"""


def merging(branch: str, bundle: str) -> list[str]:
    """The command that merges the branch in the bundle; its working directory is the workspace."""
    return ["sh", "-c", _SCRIPT, "sh", checked_branch(branch), bundle]


async def head_to_take(mirror: Mirror, request: BranchTakeUp) -> str | None:
    """Where the branch is at the forge now; None if there is nothing that was not known."""
    there = await mirror.commit_of(checked_branch(request.branch))
    return None if there == request.known else there


async def bundle_of(mirror: Mirror, branch: str, target: Path) -> None:
    """The branch with its history, as one file."""
    await Git(mirror.directory).run("bundle", "create", "--quiet", str(target), f"refs/heads/{branch}")


def taken_up(branch_head: str, exit_code: int | None, said: str) -> TakenUp:
    """What the merge has said. Raises REPOSITORY_UNREADABLE, transient, if it came to no end."""
    state, *files = readable(said).strip().splitlines() or [""]
    if exit_code != 0 or state not in {"same", "taken", "conflict"}:
        raise unreadable(bounded(readable(said).strip(), 500) or "git ended early")
    named = bounded_list((name[:300] for name in files if name.strip()), items=_MAX_FILES)
    return TakenUp.model_validate({"state": state, "branch_head": branch_head, "files": named})


def interrupted() -> OrchestratorError:
    """That the repository cannot be read is not known then."""
    return OrchestratorError.transient(
        ErrorCode.PROCESS_FAILED, "The merge of what was pushed was ended from outside; trying again."
    )
