"""`make fuzz`: every parser and editor for a minute each (``--seconds``), with hypothesis; ``--only`` takes a word."""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hypothesis import HealthCheck, given, seed, settings

from tests.fuzz.targets import Target, inputs, targets

BATCH = 200
SLOW = 5.0
"""CPU seconds that no single input of a few hundred bytes may take."""


def fuzz(target: Target, seconds: float, start: int) -> tuple[int, str]:
    """Return how many inputs were tried within the seconds, and what broke, with the smallest input that does."""
    end, tried, number = time.monotonic() + seconds, 0, start

    def once(src: bytes) -> None:
        nonlocal tried
        tried += 1
        before = time.process_time()
        target.check(src)
        assert time.process_time() - before < SLOW, "too slow"

    while tried == 0 or time.monotonic() < end:
        number += 1
        law = settings(max_examples=BATCH, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        try:
            seed(number)(law(given(inputs(target.samples))(once)))()
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            return tried, "".join(traceback.format_exception(error))
    return tried, ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="for each target (default: 60)")
    parser.add_argument("--only", default="", help="targets whose name has this word")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "big"), help="to run the same again")
    args = parser.parse_args()
    print(f"seed {args.seed}")
    broken = 0
    for target in (one for one in targets() if args.only in one.name):
        tried, said = fuzz(target, args.seconds, args.seed)
        print(f"{'BROKEN' if said else 'holds '} {target.name}: {tried} inputs", flush=True)
        if said:
            broken += 1
            print(said, flush=True)
    print(f"{broken} broken")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
