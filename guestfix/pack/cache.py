"""Compiled packs, kept between runs: the grammar and the YAML library load only when a pack has changed."""

from __future__ import annotations

import os
from typing import Any

from guestfix import __version__
from guestfix.base import cache
from guestfix.base.record import asdict
from guestfix.pack.files import default_pack_path, digest_of, pack_files
from guestfix.pack.model import Names, Pack, Policy, Rule, Step, System, Target

FORMAT = 3


def load_pack(root: str | os.PathLike[str] | None = None) -> Pack:
    """Return the rule pack in a folder, or the one that came with guestfix.

    Raises PackError with all problems of the pack, or GuestfixError where there is no pack.
    """
    folder = default_pack_path() if root is None else os.fspath(root)
    files = pack_files(folder)
    name = f"pack-{FORMAT}-{__version__}-{digest_of(files)}"
    try:
        return decode(cache.read(name))
    except (KeyError, TypeError, AttributeError, ValueError):
        from guestfix.pack.load import compile_pack

        pack = compile_pack(files, folder)
        cache.write(name, asdict(pack))
        return pack


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
        tuple(_system(system) for system in data["systems"]),
    )


def _rule(data: dict[str, Any]) -> Rule:
    steps = tuple(Step(**{**step, "globs": tuple(step["globs"])}) for step in data["steps"])
    lists = {name: tuple(data[name]) for name in ("sources", "when", "when_text", "settles")}
    return Rule(**{**data, **lists, "steps": steps})


def _target(data: dict[str, Any]) -> Target:
    lists = {name: tuple(data[name]) for name in ("firmware", "kernel_args")}
    phases = {
        name: {phase: tuple(drivers) for phase, drivers in data[name].items()}
        for name in ("drivers", "windows_drivers")
    }
    return Target(**{**data, **lists, **phases})


def _system(data: dict[str, Any]) -> System:
    said = data["names"].items()
    names: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in said}
    return System(
        **{
            **data,
            **{name: tuple(data[name]) for name in ("releases", "arch", "rows", "like")},
            "base_versions": tuple((span, version) for span, version in data["base_versions"]),
            "names": Names(**names),
            "flavours": {name: tuple(globs) for name, globs in data["flavours"].items()},
            "facts": {name: tuple((span, value) for span, value in pieces) for name, pieces in data["facts"].items()},
        }
    )
