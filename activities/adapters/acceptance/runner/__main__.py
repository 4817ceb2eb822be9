"""`python -m acceptance_runner JOB`: runs the checks of a job, and writes what they have shown to `result.json`."""

import json
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from .bot import NoTelegram
from .checks import Place, run_all
from .services import NotStarted


def main(job: dict[str, Any]) -> None:
    deadline = time.monotonic() + job["deadline_s"]
    out = Path(job["out"])
    with ExitStack() as opened:
        place = Place(job, opened)
        found: dict[str, Any] = {"start": None, "checks": []}
        try:
            place.start_telegram()
            place.await_start()
        except NotStarted as error:
            found["start"] = {"key": error.key, "text": str(error)}
        except NoTelegram as error:
            found["start"] = {"key": "telegram", "text": str(error), "ours": True}
        if found["start"] is None:
            _say("The services have started.")
            for result in run_all(job["checks"], place, deadline):
                found["checks"].append(result)
                _say(f"{result['state']}: {result['title']}")
        else:
            _say(found["start"]["text"])
    draft = out / "result.draft"
    draft.write_text(json.dumps(found))
    os.replace(draft, out / "result.json")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
