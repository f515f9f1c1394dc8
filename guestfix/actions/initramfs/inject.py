"""Give every initramfs of the guest the modules that the target's boot needs, by adding them at its end."""

from __future__ import annotations

from typing import IO

from guestfix.actions.initramfs.segment import Segment, build, pack
from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.facts.system import SYSTEM_INITRAMFS
from guestfix.base.edit import Splice
from guestfix.base.facts import Evidence
from guestfix.base.patterns import regex
from guestfix.base.spliced import open_spliced
from guestfix.detect.files import read_small
from guestfix.detect.initramfs.check import VERDICTS, Verdict, judge
from guestfix.formats.initramfs import cpio

_BY_ALIAS = ("dracut", "mkosi", "initramfs-tools", "mkinitcpio", "mkinitfs")
"""Generators whose images run udev (or nlplug-findfs) over every device: modules load by their aliases anyway."""

_SUMS = "/var/lib/initramfs-tools"


def inject(bench: Workbench) -> None:
    """Add to the archives of each image that lacks modules, or that keeps needed ones from loading.

    What comes before stays byte for byte. Images that can't be read to their end, that hold no
    archive, or whose filesystem has no room are left alone, with a finding that says so. What an image lacks is what
    detection found; only one that this plan has changed since is judged, as it is by now.
    """
    done: set[str] = set()
    free: dict[str, int] = {}
    changed = {draft.path for draft in bench.fs.drafts()}
    for verdict in bench.facts.value(VERDICTS, []):
        boot = verdict.boot
        found = judge(bench.fs, bench.facts, bench.target, boot) if changed.intersection(boot.paths) else verdict
        stored = [one for one in found.stored if one.fixed and not (one.nic and bench.policy.get("network") == "none")]
        wanted = found.missing or any(block.inside for block in found.blocked) or stored
        if found.problem or found.sealed or not wanted or found.path in done:
            continue
        done.add(found.path)
        segment = build(bench.fs, found, stored)
        for path, why in segment.unread:
            bench.find(
                "GF-INITRAMFS-MODULE-UNREADABLE",
                "blocker" if boot.role == "default" else "warning",
                f"the initramfs of kernel {boot.kernel} needs a module that can't be read: {why}",
                Evidence(path),
                remedy="reinstall the kernel package in the guest before the migration",
            )
        if not segment.unread:
            _add(bench, found, segment, free)


def _add(bench: Workbench, found: Verdict, segment: Segment, free: dict[str, int]) -> None:
    assert found.image is not None
    with bench.fs.open(found.path) as stream:
        splices, how = pack(segment, stream)
    if not _has_room(bench, found, sum(len(one.data) - one.length for one in splices), free):
        return
    _keep_sum(bench, found, splices)
    bench.fs.splice(found.path, splices, diff=_diff(segment, how))
    _tell_links(bench, found)
    maker = (found.contents.generator if found.contents else "") or bench.facts.value(SYSTEM_INITRAMFS, "")
    if found.missing and not segment.early and maker not in _BY_ALIAS:
        bench.find(
            "GF-INITRAMFS-NOT-EARLY",
            "warning",
            f"{found.path} was made by {maker or 'an unknown program'}: the added modules load only if its own "
            "scripts look for devices by their aliases",
            Evidence(found.path),
            remedy="rebuild the image in the guest with these modules before the migration",
        )


def _keep_sum(bench: Workbench, found: Verdict, splices: list[Splice]) -> None:
    """Let ``update-initramfs -u`` of older Debian and Ubuntu accept the image: it notes each one's SHA-1.

    Without that it takes the image for one that the admin made and refuses to update it (update-initramfs(8), -t).
    A sum that was wrong before stays wrong.
    """
    path = f"{_SUMS}/{found.boot.kernel}"
    noted = read_small(bench.fs, path, 4096) or b""
    if not regex(rb"[0-9a-f]{40}  ?/boot/[^\n]+\n?$").match(noted):
        return
    with bench.fs.open(found.path) as stream:
        if noted.startswith(_sum(stream)):
            bench.fs.put(path, _sum(open_spliced(stream, splices)) + noted[40:])


def _sum(stream: IO[bytes]) -> bytes:
    """Return a file's SHA-1 as sha1sum(1) writes it."""
    from hashlib import file_digest, sha1

    return file_digest(stream, lambda: sha1(usedforsecurity=False)).hexdigest().encode()  # type: ignore[arg-type]


def _has_room(bench: Workbench, found: Verdict, added: int, free: dict[str, int]) -> bool:
    """Tell whether the new image fits beside the old one, which is kept."""
    space = bench.fs.space(found.path)
    if space is None:
        return True
    left = free.setdefault(space.filesystem, space.free_bytes)
    stat = bench.fs.base.stat(found.path)
    needed = (stat.size if stat else 0) + added
    if needed <= left:
        free[space.filesystem] = left - needed
        return True
    bench.find(
        "GF-INITRAMFS-NO-ROOM",
        "blocker" if found.boot.role == "default" else "warning",
        f"{found.path} needs {needed} bytes for its new version beside the old one, but its filesystem has "
        f"{left} bytes free",
        Evidence(found.path),
        remedy=f"free at least {needed - left} bytes there, such as by removing old kernels",
    )
    return False


def _tell_links(bench: Workbench, found: Verdict) -> None:
    stat = bench.fs.base.stat(found.path)
    if stat is not None and stat.nlink > 1:
        bench.find(
            "GF-INITRAMFS-HARD-LINK",
            "info",
            f"{found.path} has {stat.nlink} names; the others keep the old content",
            Evidence(found.path),
            remedy="check that no boot entry uses another name of this file",
        )


def _diff(segment: Segment, how: str) -> str:
    files = [(name, data) for name, mode, data in segment.members() if mode & cpio.TYPE == cpio.FILE]
    return "".join([f"+ {how}\n", *(f"+ {name} ({len(data)} bytes)\n" for name, data in files)])
