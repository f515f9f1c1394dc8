"""Making a case from a real guest: exactly the files that a run reads, and nothing else of it."""

from __future__ import annotations

import io
from pathlib import Path

from guestfix.backends.directory import DirectoryGuest
from guestfix.base.guest import Disks, Meta, Stat, Volume
from guestfix.base.names import parents
from guestfix.base.record import names_of
from guestfix.base.recorder import Recorder

MAX_FILE = 1024 * 1024
"""A larger file (an initramfs, a hive) is left out of a case and named."""


def write_tree(recorder: Recorder, root: Path) -> list[str]:
    """Write what was seen below root, which must not exist: read files whole, others empty.

    Returns the paths of files left out because they are larger than MAX_FILE. Nothing is written elsewhere,
    whatever links the guest has or gets meanwhile. Raises OSError where root can't be written.
    """
    left_out: list[str] = []
    root.mkdir(parents=True)
    tree = DirectoryGuest(str(root))
    for path in sorted(recorder.was_seen):
        _write_path(recorder, tree, path, left_out)
    tree.close()
    return left_out


def _write_path(recorder: Recorder, tree: DirectoryGuest, path: str, left_out: list[str]) -> None:
    """Write one path, and on the way every link that leads to it, as links."""
    base = recorder.base
    for step in [*parents(path), path]:
        folder = base.realpath(step.rpartition("/")[0] or "/")
        place = f"{folder.rstrip('/')}/{step.rpartition('/')[2]}"
        found = base.stat(place, follow=False)
        if found is None or place == "/":
            return
        if tree.stat(place, follow=False) is not None:
            continue
        for above in parents(place):
            if tree.stat(above, follow=False) is None:
                tree.mkdir(above, Meta(0o755))
        if found.kind == "symlink":
            tree.put_symlink(place, base.readlink(place), Meta())
            real = base.realpath(place)
            if real != place:
                _write_path(recorder, tree, real, left_out)
        elif found.kind == "dir":
            tree.mkdir(place, Meta(0o755))
        elif found.kind == "file":
            data = _content(recorder, place, found, left_out)
            tree.put(place, [data], Meta(found.mode & 0o777 | 0o600))


def _content(recorder: Recorder, place: str, found: Stat, left_out: list[str]) -> bytes:
    """Return the bytes of a file that was read, none where it was only looked at or is too large."""
    if place not in {recorder.base.realpath(one) for one in recorder.was_read}:
        return b""
    if found.size > MAX_FILE:
        left_out.append(place)
        return b""
    return recorder.base.read(place, MAX_FILE)


def disks_plain(disks: Disks | None) -> dict[str, object]:
    """Return disks in the form of a disks description, without what is not known."""
    if disks is None:
        return {}
    rows = []
    for disk in disks.disks:
        row = _without_none({"device": disk.device, "size": disk.size, "table": disk.table})
        rows.append({**row, "partitions": [_volume(part) for part in disk.partitions]})
    return {"disks": rows, "volumes": [_volume(volume) for volume in disks.volumes]}


def _volume(volume: Volume) -> dict[str, object]:
    row = {name: getattr(volume, name) for name in names_of(volume) if name != "aliases"}
    row |= {name: "yes" if value else None for name, value in row.items() if isinstance(value, bool)}
    return {**_without_none(row), **({"aliases": list(volume.aliases)} if volume.aliases else {})}


def _without_none(row: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in row.items() if value is not None}


def write_case(folder: Path, title: str, target: str, disks: Disks | None, rules: tuple[str, ...]) -> None:
    """Write the case.yaml of a harvested guest."""
    import yaml

    case: dict[str, object] = {"title": title, "target": target}
    if rules:
        case["rules"] = list(rules)
    if disks is not None:
        case["disks"] = disks_plain(disks)
    text = io.StringIO()
    yaml.safe_dump(case, text, sort_keys=False, allow_unicode=True)
    (folder / "case.yaml").write_text(text.getvalue(), encoding="utf-8")
