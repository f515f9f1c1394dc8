"""guestfix and virt-v2v on copies of the same guests, each started afterwards, and docs/side-by-side.md of the results.

``python -m tests.e2e.side_by_side`` writes the page of side_by_side_results.json, and starts nothing; ``run`` makes and
starts the guests without a result (tests/bench/side_by_side.sh), ``run NAME…`` these anew.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.build.uml import DM, LVM, MD, build
from tests.e2e import matrix_guests, vm
from tests.e2e.calibration import REPO, guestfix
from tests.e2e.matrix import Cell
from tests.e2e.matrix_results import ends

PAGE = REPO / "docs/side-by-side.md"
RESULTS = Path(__file__).with_name("side_by_side_results.json")
TARGET = "kvm-virtio"
LIMIT = 3600
"""Seconds for a tool: virt-v2v's appliance is a machine of its own, and here an emulated one."""

GUESTS = (
    "bookworm-bios-grub-ext4-tools-ifupdown-systemd-virtio",
    "bookworm-bios-grub-lvm-tools-networkd-systemd-virtio",
    "bullseye-bios-grub-xfs-tools-ifupdown-systemd-virtio",
    "bookworm-secureboot-grub-ext4-tools-netplan-systemd-virtio",
    "bookworm-bios-extlinux-ext4-tools-ifupdown-systemd-virtio",
    "trixie-uefi-grub-btrfs-tools-networkd-systemd-virtio",
    "bookworm-bios-grub-ext4-dracut-networkmanager-systemd-virtio",
)
GRUB = {
    "bios": ("grub-pc",),
    "uefi": ("grub-efi-amd64",),
    "secureboot": ("grub-efi-amd64", "grub-efi-amd64-signed", "shim-signed"),
}
"""The loader's packages: virt-v2v runs their programs, and asks the package manager for kernels."""


def made(name: str, folder: Path) -> list[Path]:
    """Return the disk of a guest by its name; its own update-grub wrote grub.cfg on the old hardware."""
    cell = Cell(*name.split("-"))
    if cell.loader == "grub":
        finish = partial(matrix_guests.also, command="update-grub")
        return matrix_guests.make(cell, folder, GRUB[cell.firmware], finish).disks
    return matrix_guests.make(cell, folder).disks


# what is in a guest

SUMS = (
    "cd /run/mnt && find . -type f -exec md5sum {} +",
    "cd /run/mnt && find . -printf '%y%m,%U:%G,%l  %p\\n'",
)


def opened(cell: Cell) -> tuple[list[str], list[str]]:
    """Return the commands that mount a guest with all its filesystems, and those that let go of it."""
    at = matrix_guests.place(cell)
    parts = [kind for kind, _ in at.parts]
    root = f"/dev/ubda{len(parts)}" if at.root.startswith("/dev/sda") else at.root
    before = [f"lvm vgchange {LVM} -ay"] if root.startswith("/dev/mapper/") else []
    option = ",subvol=@" if at.fstype == "btrfs" else ",norecovery" if at.fstype == "xfs" else ""
    before.append(f"mount -o ro{option} {root} /run/mnt")
    after = []
    for kind, place in (("boot", "/run/mnt/boot"), ("esp", "/run/mnt/boot/efi")):
        if kind in parts:
            before.append(f"mount -o ro /dev/ubda{parts.index(kind) + 1} {place}")
            after.insert(0, f"umount {place}")
    return before, ["cd /", *after, *at.release]


def files_of(cell: Cell, disk: Path) -> dict[str, str]:
    """Return each path of a guest with its kind, mode, owner, link and digest, as another kernel reads them."""
    before, after = opened(cell)
    said = build([disk], [*before, *SUMS, *after], modules=(*DM, *MD, "nls-iso8859-1"))
    found: dict[str, str] = {}
    for mark, path in re.findall(r"^(?:\+ cd /run/mnt .*? -> 0 )?(\S+)  (\.(?:/.*)?)$", said, re.M):
        found[path] = f"{found.get(path, '')} {mark}"
    assert len(found) > 1000, said[-2000:]
    return found


def differences(before: dict[str, str], after: dict[str, str]) -> dict[str, list[str]]:
    return {
        "changed": sorted(path[1:] for path in after if path in before and after[path] != before[path]),
        "added": sorted(path[1:] for path in after.keys() - before.keys()),
        "removed": sorted(path[1:] for path in before.keys() - after.keys()),
    }


# the tools


@dataclass(frozen=True)
class Tool:
    """What a tool took and said. ``cpu`` and ``wall`` are seconds, ``memory`` the largest process' MiB."""

    status: int
    cpu: float
    wall: float
    memory: float
    said: str


def measured(command: Sequence[object], said: Path) -> Tool:
    """Run a tool to its end; processes that it waited for count as its own."""
    env = {**os.environ, "LC_ALL": "C", "LIBGUESTFS_BACKEND": "direct", "LIBGUESTFS_BACKEND_SETTINGS": "force_tcg"}
    begun = time.perf_counter()
    with said.open("wb") as stream:
        words = ["timeout", str(LIMIT), *map(str, command)]
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, env=env, cwd=REPO)
        _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    text, cpu = said.read_text(errors="replace"), used.ru_utime + used.ru_stime
    return Tool(process.returncode, round(cpu, 1), round(wall, 1), round(used.ru_maxrss / 1024), text[-4000:])


def command_of(tool: str, disk: Path, folder: Path) -> tuple[list[object], Path]:
    """Return what makes a whole new disk for the target with one of the two tools, and that disk."""
    if tool == "guestfix":
        new = folder / "new.raw"
        words = ("apply", disk, "--target", TARGET, "--output", new, "--image-format", "raw")
        return [sys.executable, "-m", "guestfix", *words], new
    words = ("virt-v2v", "-i", "disk", disk, "-o", "local", "-os", folder, "-of", "raw", "-on", "new")
    return list(words), folder / "new-sda"


def started(disk: Path) -> dict[str, Any]:
    """Start what a tool made on the target, and return what is kept of it."""
    start = guestfix("verify", disk, "--target", TARGET, "--format", "json", "--memory", "640")["starts"][0]
    marks = [{"name": one["name"], "seconds": round(one["seconds"])} for one in start["marks"]]
    kept = {name: start[name] for name in ("ending", "stop", "failed_units", "waited_for")}
    by = start["hardware"]["accelerator"]
    return {**kept, "marks": marks, "seconds": round(start["seconds"]), "accelerator": by}


def converted(tool: str, cell: Cell, disk: Path, before: dict[str, str]) -> dict[str, Any]:
    """Convert the guest with one tool; return what it took and changed, and how a start of its output went.

    A tool that ends with an error or changes nothing has no start of its own.
    """
    with tempfile.TemporaryDirectory(prefix=f"guestfix-{tool}.") as name:
        folder = Path(name)
        copy = folder / "disk.raw"
        vm.run("cp", "--sparse=always", disk, copy)
        command, new = command_of(tool, copy, folder)
        took = measured(command, folder / "said")
        found: dict[str, Any] = {**vars(took), "start": None, "changed": [], "added": [], "removed": []}
        if took.status == 0 and new.exists():
            found |= differences(before, files_of(cell, new))
            if found["changed"] or found["added"] or found["removed"]:
                found["start"] = started(new)
    return found


TOOLS = ("guestfix", "virt-v2v")


def compared(name: str, disk: Path) -> dict[str, Any]:
    """Convert copies of a guest with each tool, start what they made, and return what was seen."""
    cell = Cell(*name.split("-"))
    before = files_of(cell, disk)
    found = {tool: converted(tool, cell, disk, before) for tool in TOOLS}
    return {"date": time.strftime("%Y-%m-%d"), "machine": machine(), "versions": versions(), **found}


def machine() -> dict[str, Any]:
    """Return what figures depend on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    model = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    kernel = platform.release().partition("-")[0]
    return {"processor": model[1] if model else "", "cores": os.cpu_count(), "memory_gib": memory, "kernel": kernel}


def versions() -> dict[str, str]:
    words = {
        "guestfix": [sys.executable, "-m", "guestfix", "--version"],
        "virt-v2v": ["virt-v2v", "--version"],
        "libguestfs": ["guestfish", "--version"],
        "QEMU": ["qemu-system-x86_64", "--version"],
    }
    found = {}
    for name, command in words.items():
        line = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPO).stdout.splitlines()[0]
        found[name] = (re.findall(r"\d+(?:\.\d+)+\S*", line) or [line])[0]
    return found


# results

FAILED = (AssertionError, OSError, ValueError, subprocess.SubprocessError, pytest.skip.Exception)
"""What making a guest and starting it fails with; the other guests can still be compared."""


def results() -> dict[str, dict[str, Any]]:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def empty(found: dict[str, Any]) -> bool:
    """Tell whether a result shows nothing of guestfix: it failed, changed nothing, or was not started."""
    return found["guestfix"]["start"] is None


def keep(name: str, found: dict[str, Any]) -> None:
    """Put a result into the file, and say it."""
    new = RESULTS.with_suffix(".new")
    new.write_text(json.dumps({**results(), name: found}, indent=1, sort_keys=True) + "\n")
    new.replace(RESULTS)
    told = "; ".join(f"{tool}: {outcome(found[tool])}" for tool in TOOLS)
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {name}: {told}\n")


def run_all(names: Sequence[str]) -> int:
    """Compare the guests of these names, or all without a result, keeping each result at once; count the faults."""
    bad = 0
    for name in names or [one for one in GUESTS if one not in results()]:
        try:
            with tempfile.TemporaryDirectory(prefix="guestfix-side.") as folder:
                (disk,) = made(name, Path(folder))
                with vm.alone():
                    found = compared(name, disk)
        except FAILED as error:
            bad += 1
            sys.stderr.write(f"{name}: {type(error).__name__}: {error}\n")
            continue
        bad += empty(found)
        keep(name, found)
    return bad


def outcome(one: dict[str, Any]) -> str:
    """Return how it went with a tool, in the table's words."""
    if one["status"]:
        return f"the tool ended with status {one['status']}"
    return ends(one["start"]) if one["start"] else "nothing was changed"


# the page

NOISE = re.compile(
    r"/(?:var/(?:lib/guestfix|cache|log|tmp)/|(?:usr/)?lib/modules/[^/]+/modules\.|boot/grub/(?:fonts|i386))"
)
"""What a tool keeps for itself or makes of other files: counted, not named."""

NAMED = 40

HEAD = """# Side by side with virt-v2v, both outputs started

Copies of the same Debian guest, each converted to a new disk: by `guestfix apply --target kvm-virtio --output`, and by
`virt-v2v -i disk -o local`. What each made was started by [`guestfix verify`](verify.md) on KVM's virtio hardware. The
guests are made as those of [the matrix](matrix.md), where such are started unchanged too: by debootstrap and apt, with
the kernel's and GRUB's packages, an initramfs that their own tools made for the old hardware alone (`MODULES=dep`,
`dracut --hostonly`) and a grub.cfg that their own `update-grub` wrote there; fstab names /dev/sda1 or the like, the
network is a static address on `ens192`. The files are compared by a third program, User-mode Linux with `find` and
`md5sum`. tests/bench/side_by_side.sh makes this page; a guest without a row was not compared, and these have none:
{none}.

All these guests have a static address of their old network. virt-v2v changes no network of a Linux, by its source:
`login, no lease` is a start as it promises it. A guest that takes its address by DHCP on a NIC of any name is not here.

A start ends as `login, lease` (somebody can log in, and it got an address of the target's network), or with the step
at which it stopped. CPU is the tool's and that of the processes it waited for, memory its largest process. virt-v2v
runs an appliance in QEMU, {how}: with KVM it takes a fraction of the time.

"""


def page() -> str:
    """Return the page: a row for each guest and tool, what each changed, and what virt-v2v does better."""
    known = results()
    starts = [one[tool]["start"] for one in known.values() for tool in TOOLS]
    by = {start["accelerator"] for start in starts if start}
    left = ", ".join(name for name in GUESTS if name not in known) or "none"
    lines = [
        HEAD.replace("{none}", left).replace(
            "{how}", "by KVM here" if by == {"kvm"} else "which is emulated here, as the starts are"
        )
    ]
    for one in {json.dumps(one["machine"], sort_keys=True): one["machine"] for one in known.values()}.values():
        shared = "shared with other runs, so that wall clock tells little"
        lines.append(f"Machine: {one['processor']}, {one['cores']} cores, {one['memory_gib']} GiB; {shared}.\n")
    kinds = {", ".join(f"{name} {text}" for name, text in sorted(one["versions"].items())) for one in known.values()}
    lines += [f"Versions: {one}.\n" for one in sorted(kinds)]
    lines += ["\n| guest | tool | a start of its output | CPU s | wall s | MiB | changed, added, removed |\n"]
    lines += ["|---|---|---|---|---|---|---|\n"]
    lines += [row(name, one, tool) for name, one in known.items() for tool in TOOLS]
    lines.append("\n## What each changed\n\nWithout what a tool keeps for itself, logs, caches and indexes.\n")
    for name, one in known.items():
        lines.append(f"\n### {name}\n\n")
        lines += [paragraph(tool, one[tool]) for tool in TOOLS]
    return "".join(lines) + BETTER


def row(name: str, found: dict[str, Any], tool: str) -> str:
    one = found[tool]
    counts = ", ".join(str(len(one[key])) for key in ("changed", "added", "removed"))
    figures = f"{one['cpu']:.0f} | {one['wall']:.0f} | {one['memory']} | {counts}"
    return f"| {name} | {tool} | {outcome(one)} | {figures} |\n"


def paragraph(tool: str, one: dict[str, Any]) -> str:
    """Return which files a tool changed, milestones of the start, and its last words where it failed."""
    kinds = (("changed", ""), ("added", " (new)"), ("removed", " (gone)"))
    told = [f"`{path or '/'}`{mark}" for key, mark in kinds for path in one[key] if not NOISE.search(path)]
    more = f" and {len(told) - NAMED} more" if len(told) > NAMED else ""
    text = f"- {tool}: {', '.join(told[:NAMED]) or 'nothing'}{more}."
    if one["start"]:
        seconds = ", ".join(f"{mark['name']} {mark['seconds']} s" for mark in one["start"]["marks"])
        text += f" The start: {seconds or 'nothing was told'}; ended after {one['start']['seconds']} s."
        failed = [unit if isinstance(unit, str) else unit["name"] for unit in one["start"]["failed_units"]]
        text += f" Failed units: {', '.join(failed)}." if failed else ""
    said = [line for line in one["said"].splitlines() if "error" in line.lower()] if one["status"] else []
    return text + (f" It said: `{said[0].strip()}`" if said else "") + "\n"


BETTER = """
## What virt-v2v does better

By its manuals (virt-v2v(1), virt-v2v-support(1)) and what was seen of it, besides what the rows show:

- The guest's own tools make the initramfs and grub.cfg anew, with the guest's hooks and configuration. guestfix runs
  nothing of the guest: it adds to the initramfs what the target needs, and edits grub.cfg.
- It uninstalls VMware Tools, open-vm-tools, VirtualBox additions, Xen's and Parallels' tools by the guest's package
  manager or their own uninstaller. guestfix switches them off, and leaves the packages.
- It installs QEMU's guest agent at the first start from the distribution's repositories. guestfix brings what the
  operator hands over (`--payload`).
- It fetches the guest, from vCenter (also by VDDK), ESXi, Xen or an OVA, and hands it over to libvirt, oVirt, OpenStack
  or KubeVirt with its metadata. guestfix begins and ends with disks.
- It trims the filesystems, so that a copy is smaller, and relabels for SELinux with the guest's own policy.
- Its list of guests (RHEL 3 and later, SLES 10 and later, Debian 6 and later, Windows) is of systems that were run for
  years. Of Linux, guestfix's own tests start Debian, and Debian laid out as two other families do
  ([verify](verify.md)).

What it does not, by its manual and source: it changes no network configuration of a Linux (a static address of the old
network stays, on the old NIC's name), keeps no originals to go back to, starts nothing to look whether it comes up, and
KVM and QEMU are its only target.
"""


def main() -> None:
    """Write the page of the results that are kept."""
    PAGE.write_text(page())


if __name__ == "__main__":
    bad = run_all(sys.argv[2:]) if sys.argv[1:2] == ["run"] else 0
    if results():
        main()
    sys.exit(bool(bad))
