"""Results of the starts of tests/e2e/matrix.py, kept one by one, and docs/matrix.md made of them.

A result is kept beside the other things that tests build, by the builder's number; those that are published are in
matrix_results.json beside this file. ``python -m tests.e2e.matrix_results`` takes in what is kept and writes the page,
and starts nothing; ``run`` starts the cells without a result, ``run NAME…`` these.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from tests.build import debian
from tests.e2e import calibration, matrix_guests, vm
from tests.e2e.matrix import AXES, CELLS, Cell, left_out
from tests.e2e.matrix_guests import Guest

PAGE = calibration.REPO / "docs/matrix.md"
PUBLISHED = Path(__file__).with_name("matrix_results.json")
BOUNDS = ("--reach", "50", "--memory", "640")
FIRST_ROOM = 6 << 30
"""Bytes that must be free before a guest is made."""


def place(cell: Cell) -> Path:
    """Return the file that a cell's result is kept in."""
    folder = debian.cache_folder() / "matrix"
    folder.mkdir(exist_ok=True)
    return folder / f"{cell}.{matrix_guests.BUILD}.json"


def result(cell: Cell) -> dict[str, Any]:
    """Return what the three starts of a cell showed: as it was kept, or by making and starting the guest."""
    kept = place(cell)
    if not kept.exists():
        document = started(cell)
        kept.with_suffix(".new").write_text(json.dumps(document, indent=1))
        kept.with_suffix(".new").replace(kept)
    found: dict[str, Any] = json.loads(kept.read_text())
    return found


def made(cell: Cell, folder: Path) -> tuple[Guest, int]:
    """Return a cell's guest in a folder, and the seconds that making it took: as it was kept there, or made now."""
    told = folder / "guest.json"
    if not told.exists():
        if shutil.disk_usage(debian.cache_folder()).free < FIRST_ROOM:
            raise OSError(f"less than {FIRST_ROOM >> 30} GiB are free, which making a guest may take")
        begun = time.monotonic()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            guest = matrix_guests.make(cell, folder)
        except BaseException:
            shutil.rmtree(folder)
            raise
        kept = {**vars(guest), "disks": [disk.name for disk in guest.disks]}
        told.write_text(json.dumps([kept, round(time.monotonic() - begun)]))
    kept, seconds = json.loads(told.read_text())
    return Guest(**{**kept, "disks": [folder / name for name in kept["disks"]]}), seconds


def started(cell: Cell) -> dict[str, Any]:
    """Start a cell's guest three times, and return what was seen; the guest is gone once all is as it must be."""
    folder = place(cell).with_suffix("")
    guest, seconds = made(cell, folder)
    target = matrix_guests.TARGETS[cell.disk]
    words = ("--target", target, "--from", matrix_guests.old_of(cell), "--before-and-after", *guest.key)
    with vm.alone():
        told = calibration.guestfix("verify", *guest.disks, *words, *BOUNDS, "--format", "json")
    document = {
        "cell": str(cell),
        "date": time.strftime("%Y-%m-%d"),
        "kernel": guest.release,
        "versions": guest.versions,
        "guestfix": _version(),
        "made_seconds": seconds,
        "starts": told["starts"],
    }
    if not faults(document):
        shutil.rmtree(folder)
    return document


def _version() -> str:
    words = ["git", "-C", str(calibration.REPO), "rev-parse", "--short", "HEAD"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()


def ends(start: dict[str, Any]) -> str:
    """Return where a start ended, in the table's words."""
    marks = {one["name"] for one in start["marks"]}
    if start["ending"] == "reached":
        return "login, lease"
    if start["ending"] == "stopped":
        return f"{start['stop']['step']}: {start['stop']['why']}"
    return "login, no lease" if "login" in marks else "nothing tells"


def differences(start: dict[str, Any]) -> list[str]:
    """Return the steps of which the walk said something else than the start showed."""
    return [f"{one['id']} ({one['said']})" for one in start["steps"] if one["agrees"] is False]


def faults(document: dict[str, Any]) -> list[str]:
    """Return what is not as it must be: stopped or without network before, reached after, a login after revert."""
    before, after, reverted = document["starts"]
    found = []
    if before["ending"] in ("reached", "unproven"):
        found.append(f"before: {ends(before)}")
    if after["ending"] != "reached":
        found.append(f"after: {ends(after)}")
    if "login" not in {one["name"] for one in reverted["marks"]}:
        found.append(f"reverted: {ends(reverted)}")
    for name, start in (("before", before), ("after", after), ("reverted", reverted)):
        found += [f"{name}: the walk says otherwise of {one}" for one in differences(start)]
    return found


# running


def run_all(names: list[str]) -> int:
    """Start the cells of these names, or all without a result as it must be; one's fault does not end the others.

    A guest whose result was not as it must be is there still, and is started again without being made.
    """
    known = {name for name, one in published().items() if not faults(one)}
    todo = [one for one in CELLS if not left_out(one) and (str(one) in names if names else str(one) not in known)]
    bad = 0
    for cell in todo:
        try:
            if place(cell).exists() and faults(result(cell)):
                place(cell).unlink()
            told = faults(result(cell))
        except BaseException as error:  # a skip of pytest's is one
            if isinstance(error, KeyboardInterrupt):
                raise
            place(cell).with_suffix(".failed").write_text(traceback.format_exc())
            told = [f"{type(error).__name__}: {str(error)[-600:]}"]
        bad += bool(told)
        sys.stderr.write(f"{time.strftime('%H:%M:%S')} {cell}: {'; '.join(told) or 'as it must be'}\n")
    return bad


def published() -> dict[str, dict[str, Any]]:
    """Return the results that are in the repository, by cell."""
    return json.loads(PUBLISHED.read_text()) if PUBLISHED.exists() else {}


def short(document: dict[str, Any]) -> dict[str, Any]:
    """Return what is published of a result: all but the consoles."""
    kept = ("state", "ending", "stop", "steps", "failed_units", "waited_for", "seconds", "hardware", "marks")
    starts = [{name: start[name] for name in kept} for start in document["starts"]]
    for start in starts:
        start["marks"] = [{"name": one["name"], "seconds": one["seconds"]} for one in start["marks"]]
        start["hardware"] = {
            name: start["hardware"][name]
            for name in ("target", "accelerator", "firmware", "secure_boot", "disk", "nic", "stand_ins")
        }
    return {**document, "starts": starts}


# the page

HEAD = """# Guests of every kind, started before and after

[`guestfix verify --before-and-after`](verify.md) of Debian guests in which any two values of two columns meet in at
least one row (tests/e2e/matrix.py), as far as they were started: what was not is named below. `make e2e` starts what
has no result yet, and makes this page of the results that are kept (tests/e2e/matrix_results.py).

Each guest is left as an installer on the old hardware leaves it: it was started there once, in QEMU, and its own
`update-initramfs` (`MODULES=dep`) or `dracut --hostonly` made its initramfs of what it saw. Its network is a static
address on `ens192`, a name that no NIC of the target has; a root on a plain partition, and the volume that LUKS
encrypts, is called `/dev/sda1` or the like. *as it is*: the start on the target before anything is changed;
*repaired*: after `apply`; *reverted*: after
`revert`, on the old hardware, where its address is of a network that is not here: a login is all there is to be seen.

"""
COLUMNS = (*AXES, "kernel", "as it is", "repaired", "reverted", "walk", "seconds")


def row(cell: Cell, document: dict[str, Any]) -> str:
    """Return the row of a cell."""
    starts = document["starts"]
    unlike = [f"{one['state']}: {text}" for one in starts for text in differences(one)]
    seconds = " + ".join(f"{one['seconds']:.0f}" for one in starts)
    kernel, said = document["kernel"].removesuffix("-amd64"), "; ".join(unlike) or "agrees"
    cells = [*(getattr(cell, name) for name in AXES), kernel, *map(ends, starts), said, seconds]
    return f"| {' | '.join(cells)} |"


def page(results: dict[str, dict[str, Any]]) -> str:
    """Return the page: a row for each result, what was not as it must be, and what was not started."""
    rows = [row(cell, results[str(cell)]) for cell in CELLS if str(cell) in results]
    here = [cell for cell in CELLS if not left_out(cell)]
    good = [name for name, one in results.items() if not faults(one)]
    dates = [one["date"] for one in results.values()]
    by = sorted({start["hardware"]["accelerator"] for one in results.values() for start in one["starts"]})
    when = " to ".join(sorted({min(dates), max(dates)}))
    told = f"{len(rows)} of {len(CELLS)} guests started three times each, {when}, by {', '.join(by)}: {len(good)} as "
    told += "it must be (no start or no network as it is, login and lease repaired, login reverted, and so the walk "
    told += "says).\n\n"
    table = [f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS), *rows]
    text = HEAD + told + "\n".join(table) + "\n"
    wrong = [f"- {name}: {'; '.join(faults(one))}" for name, one in results.items() if faults(one)]
    if wrong:
        text += "\nNot as it must be:\n\n" + "\n".join(wrong) + "\n"
    text += "\n## Not started\n\nNothing is shown of these guests.\n\n"
    text += "".join(f"- {cell}: {'; '.join(left_out(cell))}\n" for cell in CELLS if left_out(cell))
    text += "".join(f"- {cell}: no result yet\n" for cell in here if str(cell) not in results)
    return text + NOTES


NOTES = """
## What a row does not show

- GRUB is this machine's (Debian 12's signed GRUB by UEFI; by BIOS its modules, and a core image made as grub-install
  does), not the suite's; extlinux is this machine's too. systemd-boot is the suite's.
- With LVM, LVM thin, RAID and LUKS, and with extlinux on XFS and Btrfs, /boot is an ext4 partition of its own.
- luks is a root in LUKS 2, which crypttab names by the old disk's name, and which a key in the initramfs opens.
- nvme is the target aws-nitro, whose ENA is stood in for by an e1000e; arm64 is kvm-virtio, on QEMU's machine virt.
- The old hardware is PVSCSI (`vmware`) with a BIOS, SATA (`kvm-sata`) with UEFI; for targets with SATA disks
  virtio-blk (`kvm-virtio`), for Arm NVMe (`aws-nitro`). Rows with UEFI
  whose start after revert ended at firmware were made on PVSCSI, of which
  this firmware (Debian's OVMF 2022.11) sees no disk, also where QEMU is started by hand: nothing is shown of their
  revert, and they are to be started again, on SATA.
- "nothing tells" of a dracut guest: systemd in the initramfs was taken for the root's own, so that the start that
  found no root ended without a reason. It is told apart now; the guest is to be started again.
"""


def main() -> None:
    """Take in the results that are kept, and write the page."""
    results = published()
    for cell in CELLS:
        if not left_out(cell) and place(cell).exists():
            results[str(cell)] = short(result(cell))
    order = [str(cell) for cell in CELLS]
    results = {name: results[name] for name in sorted(results, key=order.index)}
    lines = [f"{json.dumps(name)}: {json.dumps(one)}" for name, one in results.items()]
    PUBLISHED.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    if results:
        PAGE.write_text(page(results))


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        sys.exit(bool(run_all(sys.argv[2:])))
    main()
