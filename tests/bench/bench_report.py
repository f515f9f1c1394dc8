"""`guestfix report` and `--version` as whole processes, against `python -c pass` of the same interpreter."""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import PASS, Table, in_turn

ROOT = Path(__file__).resolve().parents[2]
GUESTFIX = [sys.executable, "-m", "guestfix"]
WITHOUT = str(Path(__file__).with_name("without_walk.py"))
RULE = """id: bench/{name}
title: A rule that only makes the pack larger
why: To show that a report's time does not grow with the pack.
sources: ["make bench"]
since: 2026-11-25
confidence: certain
when:
  - os.family == linux
  - os.id == bench-{name} and exists /etc/bench/{name}
do:
  - in: /etc/bench/{name}
    op: fstab.disable
    args: {{types: [cifs], sources: [], why: never}}
"""


def padded_pack(folder: Path, rules: int) -> Path:
    pack = folder / "pack"
    shutil.copytree(ROOT / "rules", pack, ignore=shutil.ignore_patterns("cases"))
    have = len(list(pack.rglob("rule.yaml")))
    for index in range(rules - have):
        place = pack / "fix" / "bench" / f"r{index:03}"
        place.mkdir(parents=True)
        (place / "rule.yaml").write_text(RULE.format(name=f"r{index:03}"))
    return pack


def check(commands: dict[str, list[str]]) -> None:
    """Stop where a command doesn't do what is to be measured."""
    for name, command in commands.items():
        if "report" in command:
            done = subprocess.run([*command, "--format", "json"], capture_output=True)
            if not json.loads(done.stdout or b"{}").get("decisions"):
                raise SystemExit(f"{name}: no report: {done.stderr.decode()[:500]}")


def events_cost(guest: Path) -> float:
    """Return the processor time of a plan whose events are written, as a share of one whose events nobody hears.

    Within one process and in turn, so that neither the start of an interpreter nor a busy machine is counted.
    """
    from guestfix.backends import open_guest
    from guestfix.base.events import Events
    from guestfix.commands.channels import open_channel
    from guestfix.pack.cache import load_pack
    from guestfix.plan.planner import make_plan
    from guestfix.report.events import tell_plan

    pack = load_pack()

    def once(heard: bool) -> float:
        events = Events(("open", "read", "plan"), [open_channel("file:/dev/null")] if heard else [])
        start = time.process_time()
        tell_plan(events, make_plan(open_guest(str(guest)), pack, "aws-nitro", None, events))
        events.result("done", 0)
        return time.process_time() - start

    once(True), once(False)
    pairs = [(once(True), once(False)) for _ in range(40)]
    return min(heard for heard, _ in pairs) / min(alone for _, alone in pairs)


def main() -> int:
    table = Table()
    guests = sorted(path for path in (ROOT / "testdata/guests").iterdir() if path.is_dir())
    commands = {"pass": PASS, "version": [*GUESTFIX, "--version"]}
    commands |= {guest.name: [*GUESTFIX, "report", str(guest)] for guest in guests}
    with tempfile.TemporaryDirectory() as scratch:
        pack = padded_pack(Path(scratch), 300)
        commands["300 rules"] = [*GUESTFIX, "report", str(guests[0]), "--pack", str(pack)]
        check(commands)
        cold = f'd=$(mktemp -d); XDG_CACHE_HOME="$d" {" ".join(commands[guests[0].name])} >/dev/null; rm -rf "$d"'
        commands["cold"] = ["sh", "-c", cold]
        commands |= {f"{guest.name} alone": [sys.executable, WITHOUT, "report", str(guest)] for guest in guests}
        found = in_turn(commands)
    base = found["pass"].median
    table.note(f"python -c pass, the unit: {base * 1000:.1f} ms")
    table.row("guestfix --version", found["version"].median / base, 4)
    for guest in guests:
        table.row(f"guestfix report {guest.name}", found[guest.name].median / base, 15)
    table.row(f"guestfix report {guests[0].name}, pack of 300 rules", found["300 rules"].median / base, 15)
    cold = found["cold"].cpu / found["pass"].cpu
    table.row(f"processor time of a report of {guests[0].name}, nothing kept", cold, 30)
    walks = [found[guest.name].cpu / found[f"{guest.name} alone"].cpu for guest in guests]
    table.row("processor time of a report: of one without the boot walk (worst guest)", max(walks), 1.25)
    table.row("a plan whose events are written: of one without", events_cost(guests[0]), 1.03)
    peak = max(run.peak_kib for run in found.values()) / 1024
    table.row("peak memory of a report, MB", peak, 80, "M")
    return table.status()


if __name__ == "__main__":
    sys.exit(main())
