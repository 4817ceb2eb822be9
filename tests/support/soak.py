"""Chaos for a while: rounds of the chaos suite, each with its own seed, until the time is up.

Run as `python -m tests.support.soak --minutes 10 --seed 1`. At least one round runs; the first round that fails
ends the run with its exit code and prints the seed that repeats it.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

SOAK_TEST_TIMEOUT_S = 900
"""Limit of one soak test: the longest has several kills and the recovery after each."""


def run_round(seed: int) -> int:
    """One round of tests/chaos with this seed; returns pytest's exit code."""
    command = [sys.executable, "-m", "pytest", "tests/chaos", "-q", f"--timeout={SOAK_TEST_TIMEOUT_S}"]
    return subprocess.run(command, env={**os.environ, "CHAOS_SEED": str(seed)}, check=False).returncode


def soak(
    minutes: float,
    first_seed: int,
    *,
    round_of: Callable[[int], int] = run_round,
    clock: Callable[[], float] = time.monotonic,
    say: Callable[[str], None] = print,
) -> int:
    """Run rounds until `minutes` have passed; 0 when all were green, else the exit code of the red one."""
    started, seed = clock(), first_seed
    while True:
        say(f"== soak round {seed - first_seed + 1}, seed {seed}")
        status = round_of(seed)
        if status != 0:
            say(f"== red with seed {seed}; repeat it with: make soak SOAK_MINUTES=0 CHAOS_SEED={seed}")
            return status
        seed += 1
        if clock() - started >= minutes * 60:
            say(f"== {seed - first_seed} rounds were green in {(clock() - started) / 60:.1f} minutes")
            return 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    return soak(options.minutes, options.seed)


if __name__ == "__main__":
    sys.exit(main())
