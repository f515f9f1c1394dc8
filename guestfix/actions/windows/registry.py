r"""What the Windows actions share: changing a guest's hives, in every control set that ``Select`` names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.facts.kind import Asked
from guestfix.base.catalog.facts.windows import WINDOWS_CONTROL_SETS, WINDOWS_HIVES, WINDOWS_ROOT
from guestfix.base.errors import EditError
from guestfix.base.facts import Evidence
from guestfix.formats.windows.regf import REG_DWORD, BadHive, Hive
from guestfix.formats.windows.regf.controlsets import control_sets
from guestfix.formats.windows.regf.guestfile import open_guest_hive
from guestfix.formats.windows.registry import Registry
from guestfix.formats.windows.services import DISABLED, is_protected


def root_of(bench: Workbench) -> str:
    """Return the guest path of the Windows folder."""
    return str(bench.facts.value(WINDOWS_ROOT, "/Windows"))


def hive_path(bench: Workbench, name: str) -> str:
    """Return the guest path of SYSTEM or SOFTWARE. Raises EditError where detection found none."""
    paths = bench.facts.value(WINDOWS_HIVES, {})
    if name not in paths:
        raise EditError(f"the registry hive {name} was not found or can't be read")
    return str(paths[name])


@contextmanager
def editing(bench: Workbench, path: str) -> Iterator[Hive]:
    """Open the hive at a guest path for changes; they are put on the overlay when the block ends.

    A hive whose last write was not finished is first recovered from its logs. Raises EditError where
    that can't be done or the hive is damaged.
    """
    try:
        hive = open_guest_hive(bench.fs, path)
        if hive.refusal:
            raise EditError(f"the hive is not changed: {hive.refusal}", where=path)
        yield hive
        lines = hive.diff() if hive.changed else []
    except BadHive as error:
        raise EditError(f"the hive is not changed: {error.what}", where=path) from error
    if lines:
        bench.fs.put(path, hive.to_bytes(), diff="".join(f"{line}\n" for line in lines))


@contextmanager
def editing_system(bench: Workbench) -> Iterator[tuple[Hive, list[str]]]:
    """Open SYSTEM for changes; gives the hive and the names of the control sets to change."""
    with editing(bench, hive_path(bench, "SYSTEM")) as hive:
        yield hive, control_sets(hive) or list(bench.facts.value(WINDOWS_CONTROL_SETS, []))


def reader(hive: Hive, name: str = "SYSTEM", path: str = "") -> Registry:
    """Return the hive behind the reading interface that detection uses."""
    return Registry(hive, name, path)


def disable_service(hive: Hive, control: str, name: str) -> bool:
    """Set a service's Start to disabled; return whether that changed it.

    Raises EditError for a service that comes with Windows: these are never disabled.
    """
    if is_protected(name):
        raise EditError(f"the service {name} comes with Windows and is never disabled")
    path = rf"{control}\Services\{name}"
    if hive.key(path) is None or hive.get(path, "Start") in (None, DISABLED):
        return False
    return hive.set_value(path, "Start", REG_DWORD, DISABLED)


def seen(bench: Workbench, *kinds: Asked[object]) -> tuple[Evidence, ...]:
    """Return the evidence of these facts."""
    return tuple(item for kind in kinds for item in bench.facts.evidence(kind))
