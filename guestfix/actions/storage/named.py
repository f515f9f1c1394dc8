"""Where scripts, timers and settings name a disk that the target calls otherwise, or an array that is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator

from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.facts.storage import (
    DISKS_COMPLETE,
    DISKS_DOUBTFUL,
    DISKS_OLD_NAMES,
    DISKS_SPECS,
    DISKS_TAGGED,
    DISKS_UUID_BY_DEVICE,
)
from guestfix.base.edit import Table
from guestfix.base.facts import Evidence
from guestfix.base.patterns import regex
from guestfix.base.text import some
from guestfix.detect.files import is_link, kind_of, paths_like, read_small, real_path
from guestfix.editors.storage.commands import set_device
from guestfix.formats.shellvars import decode
from guestfix.formats.storage import arrays
from guestfix.formats.storage.known import Known, known

MOST_FILES, MOST_PLACES, LONGEST_LINE = 64, 20, 4096

_NAME = regex(
    r"(?<![\w/.-])(?P<device>/dev/(?:disk/by-(?:id|path)/[A-Za-z0-9_:.+-]{1,120}|mapper/[A-Za-z0-9_+.-]{1,80}"
    r"|cciss/[a-z0-9]{1,12}|(?:sd|hd|vd|xvd)[a-z]{1,2}[0-9]{0,3}|nvme[0-9]{1,3}(?:n[0-9]{1,3}(?:p[0-9]{1,3})?)?)"
    r"|/sys/(?:class/)?block/(?P<block>(?:sd|hd|vd|xvd)[a-z]{1,2}[0-9]{0,3}|nvme[0-9]{1,3}n[0-9]{1,3}))(?![A-Za-z0-9])"
)
_ARRAY = regex(rb"^arr[a-z]*+(?:[ \t][^\n#]*+|\n[ \t]++[^\n#]++)*+", re.MULTILINE | re.IGNORECASE)
_FIRMWARE = regex(rb"\s(?:container=|metadata=(?:imsm|ddf)|member=)", re.IGNORECASE)
_FAMILY = regex(r"/dev/(?P<family>sd|hd|vd|xvd|nvme)")


def name_disks(bench: Workbench, *, table: Table) -> None:
    """Name disks by UUID where a command in the files of this step opens one by an old name (``commands.set_device``).

    Only what is a text file itself is looked at: no link, no program, nothing larger than a text that somebody writes.
    """
    for path in dict.fromkeys(path for glob in bench.fs.within for path in paths_like(bench.fs, glob, MOST_FILES)):
        if is_link(bench.fs, path) or kind_of(bench.fs, path) != "file":
            continue
        before = read_small(bench.fs, path)
        after = set_device(before, table=table) if before and b"\0" not in before else before
        if isinstance(after, bytes) and after is not before:
            bench.fs.put(path, after)


def tell_names(bench: Workbench) -> None:
    """Tell in one finding every line of the files of this step that names a disk of the old platform.

    A name of the kind that the target gives its disks is not told, nor is a comment.
    """
    names = _known(bench)
    seen = (path for glob in bench.fs.within for path in paths_like(bench.fs, glob, MOST_FILES))
    paths = {real_path(bench.fs, path): path for path in seen}.values()
    found = [(place, name) for path in paths for place, name in _in_file(bench, path, names)]
    if not found:
        return
    said = list(dict.fromkeys(name for _, name in found))
    more = f" ({len(found) - MOST_PLACES} more places)" if len(found) > MOST_PLACES else ""
    what = f"{some(said)}: named in the guest's own files, and the target calls its disks otherwise{more}"
    bench.find("GF-DISK-NAMED", "warning", what, *[place for place, _ in found[:MOST_PLACES]])


def tell_arrays(bench: Workbench) -> None:
    """Tell of arrays that the files of this step name by a UUID which nothing on the guest's disks has.

    So it is where all disks were read or described. An array of a controller's firmware (imsm, ddf) is not told, for
    its UUID stands on no disk.
    """
    names = _known(bench)
    if not (names.tagged and names.complete):
        return
    members = {arrays.uuid_of(one.removeprefix("UUID=")) for one in names.specs if one.startswith("UUID=")}
    for path in (path for glob in bench.fs.within for path in paths_like(bench.fs, glob, MOST_FILES)):
        data = read_small(bench.fs, path) or b""
        for line in _ARRAY.finditer(data):
            device, uuid = next(iter(arrays.named(line[0])), ("", ""))
            link = f"/dev/disk/by-id/md-uuid-{':'.join(uuid[at : at + 8] for at in range(0, 32, 8))}"
            if uuid and uuid not in members and not _FIRMWARE.search(line[0]) and names.answer(link) == "absent":
                place = Evidence(path, data.count(b"\n", 0, line.start()) + 1, decode(line[0]).split("\n")[0][:200])
                bench.find("GF-ARRAY-ABSENT", "info", f"the array {device} is on none of the guest's disks", place)


def _known(bench: Workbench) -> Known:
    return known(
        bench.facts.value(DISKS_UUID_BY_DEVICE, {}),
        bench.facts.value(DISKS_SPECS, []),
        bench.facts.value(DISKS_TAGGED, False),
        bench.facts.value(DISKS_COMPLETE, False),
        bench.facts.value(DISKS_DOUBTFUL, []),
        bench.facts.value(DISKS_OLD_NAMES, []),
    )


def _in_file(bench: Workbench, path: str, names: Known) -> Iterator[tuple[Evidence, str]]:
    data = read_small(bench.fs, path) or b""
    if b"\0" in data or (b"/dev/" not in data and b"block/" not in data):
        return
    for number, line in enumerate(decode(data).split("\n"), 1):
        text = line.strip()
        if text.startswith(("#", ";")) or len(text) > LONGEST_LINE:
            continue
        old = next((one for one in _NAME.finditer(text) if _is_gone(one["block"] or one["device"], bench, names)), None)
        if old is not None:
            yield Evidence(path, number, text[:200]), old["device"]


def _is_gone(name: str, bench: Workbench, names: Known) -> bool:
    """Tell whether the target has no disk by this name, as far as its kind tells."""
    device = name if name.startswith("/dev/") else f"/dev/{name}"
    family = _FAMILY.match(device)
    if family and family["family"] == bench.target.disk_prefix:
        return False
    return names.is_old(device)
