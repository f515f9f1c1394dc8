"""Compiled packs, kept between runs: the grammar and the YAML library load only when a pack has changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import Any

from guestfix import __version__
from guestfix.base import cache
from guestfix.base.errors import UsageError
from guestfix.base.record import asdict
from guestfix.pack.files import default_pack_path, digest_of, pack_files
from guestfix.pack.model import Names, Pack, PackPart, Policy, PolicyDefault, Refusal, Rule, Step, System, Target

FORMAT = 14
STEP_LISTS = ("globs", "when", "when_text")
TARGET_LISTS = (
    "firmware", "kernel_args", "arch", "agents", "time_servers", "data_sources", "dns", "network_notes", "sources",
)  # fmt: skip
MOST_PACKS = 16

Place = str | os.PathLike[str]

Kept = dict[str, Any]
"""A record as asdict() wrote it and JSON gave it back."""


def load_pack(*roots: Place | Sequence[Place] | None) -> Pack:
    """Return the rule pack that came with guestfix, with those in these folders on top of it, in their order.

    Folders are given one by one or as lists; None stands for nothing. The first one stands alone, without the pack
    that came with guestfix, unless its pack.yaml says ``extends: guestfix``; every further one extends a pack
    beneath it. Raises PackError with all problems of the packs, or GuestfixError where there is no pack.
    """
    given = [os.fspath(one) for root in roots if root is not None for one in _several(root)]
    if len(given) > MOST_PACKS:
        raise UsageError(f"more than {MOST_PACKS} rule packs", remedy="put some of them together")
    built_in = default_pack_path()
    folders = [built_in, *(one for one in given if os.path.realpath(one) != os.path.realpath(built_in))]
    sources = [pack_files(folder) for folder in folders]
    total = hashlib.sha256("\n".join(digest_of(files) for files in sources).encode())
    name = f"pack-{FORMAT}-{__version__}-{total.hexdigest()}"
    try:
        return decode(cache.read(name))
    except (KeyError, TypeError, AttributeError, ValueError):
        from guestfix.pack.load import compile_packs

        pack = compile_packs(folders, sources, built_in=True)
        cache.write(name, asdict(pack))
        return pack


def _several(root: Place | Sequence[Place]) -> Sequence[Place]:
    return (root,) if isinstance(root, str | os.PathLike) else root


def decode(data: Kept) -> Pack:
    """Return the Pack whose asdict() was written as JSON."""
    return Pack(
        data["id"],
        data["version"],
        data["digest"],
        data["default_target"],
        tuple(_rule(rule) for rule in data["rules"]),
        {name: _target(target) for name, target in data["targets"].items()},
        {name: _policy(policy) for name, policy in data["policies"].items()},
        tuple(_system(system) for system in data["systems"]),
        data["tables"],
        tuple(PackPart(**{**part, "changes": tuple(part["changes"])}) for part in data["parts"]),
    )


def _policy(data: Kept) -> Policy:
    defaults = tuple(PolicyDefault(**one) for one in data["default_for"])
    return Policy(**{**data, "values": tuple(data["values"]), "default_for": defaults})


def _rule(data: Kept) -> Rule:
    steps = tuple(Step(**{**step, **{name: tuple(step[name]) for name in STEP_LISTS}}) for step in data["steps"])
    lists = {name: tuple(data[name]) for name in ("sources", "when", "when_text", "settles")}
    return Rule(**{**data, **lists, "steps": steps})


def _target(data: Kept) -> Target:
    lists = {name: tuple(data[name]) for name in TARGET_LISTS}
    phases = {
        name: {phase: tuple(drivers) for phase, drivers in data[name].items()}
        for name in ("drivers", "windows_drivers", "windows_buses", "windows_offers")
    }
    refuses = tuple(Refusal(**{**one, "when": tuple(one["when"])}) for one in data["refuses"])
    by_arch = {
        arch: {name: tuple(one) if isinstance(one, list) else one for name, one in keys.items()}
        for arch, keys in data["by_arch"].items()
    }
    return Target(**{**data, **lists, **phases, "refuses": refuses, "by_arch": by_arch})


def _system(data: Kept) -> System:
    said = data["names"].items()
    names: Kept = {name: tuple(value) if isinstance(value, list) else value for name, value in said}
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
