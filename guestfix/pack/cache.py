"""Compiled packs, kept between runs: the grammar and the YAML library load only when a pack has changed.

A compiled pack is JSON in the user's cache folder (XDG base directory specification), named by the digest
of the pack's files, the engine's version and this file's format. It holds data only, so a stale or broken
one is at worst ignored and written anew.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from guestfix import __version__
from guestfix.pack.model import Pack, Policy, Rule, Step, Target

FORMAT = 2


def load_pack(root: Path | str | None = None) -> Pack:
    """Return the rule pack in a folder, or the one that came with guestfix.

    Raises PackError with all problems of the pack, or GuestfixError where there is no pack.
    """
    from guestfix.pack.load import default_pack_path, digest_of, pack_files

    folder = default_pack_path() if root is None else Path(root)
    files = pack_files(folder)
    digest = digest_of(files)
    cached = _read(digest)
    if cached is not None:
        return cached
    from guestfix.pack.load import compile_pack

    pack = compile_pack(files, str(folder))
    _write(pack)
    return pack


def _file(digest: str) -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "guestfix" / f"pack-{FORMAT}-{__version__}-{digest}.json"


def _read(digest: str) -> Pack | None:
    try:
        with open(_file(digest), "rb") as stream:
            return decode(json.loads(stream.read()))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(pack: Pack) -> None:
    """Keep the compiled pack; a cache folder that can't be written is no reason to fail."""
    file = _file(pack.digest)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as stream:
            json.dump(asdict(pack), stream)
        os.replace(stream.name, file)
    except OSError:
        return


def decode(data: dict[str, Any]) -> Pack:
    """Return the Pack whose asdict() was written as JSON."""
    return Pack(
        data["id"],
        data["version"],
        data["digest"],
        data["default_target"],
        tuple(_rule(rule) for rule in data["rules"]),
        {name: _target(target) for name, target in data["targets"].items()},
        {name: Policy(**{**policy, "values": tuple(policy["values"])}) for name, policy in data["policies"].items()},
        tuple(data["systems"]),
    )


def _rule(data: dict[str, Any]) -> Rule:
    steps = tuple(Step(**{**step, "globs": tuple(step["globs"])}) for step in data["steps"])
    lists = {name: tuple(data[name]) for name in ("sources", "when", "when_text")}
    return Rule(**{**data, **lists, "steps": steps})


def _target(data: dict[str, Any]) -> Target:
    lists = {name: tuple(data[name]) for name in ("firmware", "kernel_args")}
    phases = {
        name: {phase: tuple(drivers) for phase, drivers in data[name].items()}
        for name in ("drivers", "windows_drivers")
    }
    return Target(**{**data, **lists, **phases})
