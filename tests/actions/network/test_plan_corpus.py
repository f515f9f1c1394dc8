"""Every network file of the shared corpus, planned in a guest of its own, for every policy."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from guestfix.apply.apply import apply_plan
from guestfix.backends.directory import DirectoryGuest
from guestfix.pack.cache import load_pack
from guestfix.plan.model import Plan
from guestfix.plan.planner import Options, make_plan
from tests.build.corpus import CORPUS, corpus_files

KINDS = ("ifcfg-rh", "ifcfg-suse", "interfaces", "netplan", "nm", "udev-net")
GOLDEN = Path(__file__).with_name("corpus.golden")
POLICIES = ("dhcp", "dhcp-first", "preserve", "none")
ENCRYPTED = b"U2FsdGVkX1"
FILES = [(kind, path) for kind in KINDS for path in corpus_files(kind)]
if not FILES:
    pytest.skip(f"no corpus at {CORPUS}", allow_module_level=True)

RELEASE = {
    "ifcfg-rh": 'ID="rhel"\nVERSION_ID="8.10"\n',
    "ifcfg-suse": 'ID="sles"\nID_LIKE="suse"\nVERSION_ID="15.5"\n',
    "netplan": 'ID=ubuntu\nVERSION_ID="22.04"\n',
}


def name_of(kind: str, path: Path) -> str:
    return f"{kind} {path.parent.name}/{path.name[:8]}"


def guest_of(root: Path, kind: str, paths: list[Path]) -> DirectoryGuest:
    files = {"os-release": RELEASE.get(kind, 'ID=debian\nVERSION_ID="12"\n').encode()}
    for path in paths:
        place = path.name.partition("__")[2].replace("%", "/").removeprefix("etc/")
        files[place] = path.read_bytes()
    for place, data in files.items():
        target = root / "etc" / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        os.utime(target, ns=(1, 1))
    return DirectoryGuest(str(root))


def plan_of(guest: DirectoryGuest, policy: str) -> Plan:
    options = Options(only=("network/*",), confidence="possible", policies={"network": policy})
    return make_plan(guest, load_pack(), "kvm-virtio", options)


def line_of(plan: Plan) -> str:
    kinds = ",".join(sorted(change.kind for change in plan.changes)) or "unchanged"
    parts = [f"{change.path} {change.after}" for change in plan.changes]
    codes = sorted({finding.code for finding in plan.findings if finding.code.startswith("GF-NETWORK")})
    return f"{kinds} {hashlib.sha256(chr(10).join(parts).encode()).hexdigest()[:12]} {','.join(codes) or '-'}"


@pytest.fixture(scope="module")
def golden() -> dict[str, str]:
    rows = (line.split(" ") for line in GOLDEN.read_text().splitlines() if line and line[0] != "#")
    return {" ".join(row[:2]): " ".join(row[2:]) for row in rows}


@pytest.mark.parametrize(("kind", "path"), FILES, ids=[name_of(*pair) for pair in FILES])
def test_what_would_change(kind: str, path: Path, tmp_path: Path, golden: dict[str, str]) -> None:
    """The golden list says it for the known files, by hash only; a file that it lacks only has to be planned."""
    plan = plan_of(guest_of(tmp_path, kind, [path]), "dhcp")
    assert not [one for one in plan.findings if one.code == "GF-RULE-FAILED"]
    name = name_of(kind, path)
    assert golden.get(name, line_of(plan)) == line_of(plan)


MACHINES = sorted({(kind, path.parent.name) for kind, path in FILES})


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("kind", "machine"), MACHINES, ids=[" ".join(one) for one in MACHINES])
def test_whole_machines(kind: str, machine: str, policy: str, tmp_path: Path) -> None:
    """All files of one machine: planned without a failure, applied, and nothing is left to do after."""
    paths = [path for one, path in FILES if path.parent.name == machine and (one == kind or one in ("udev-net", "nm"))]
    guest = guest_of(tmp_path, kind, paths)
    plan = plan_of(guest, policy)
    assert not [one for one in plan.findings if one.code == "GF-RULE-FAILED"]
    assert plan.changes == () or policy != "none"
    if plan.changes:
        apply_plan(guest, plan)
        assert plan_of(DirectoryGuest(str(tmp_path)), policy).changes == ()


def write_golden() -> None:
    import tempfile

    rows = []
    for kind, path in FILES:
        with tempfile.TemporaryDirectory() as root:
            rows.append(f"{name_of(kind, path)} {line_of(plan_of(guest_of(Path(root), kind, [path]), 'dhcp'))}")
    head = "# kind machine/file (by hash): what policy dhcp changes, a digest of the results, and the findings' codes\n"
    GOLDEN.write_text(head + "\n".join(sorted(rows)) + "\n")


if __name__ == "__main__":
    write_golden()
