"""Kernel releases (uname -r) against the series that the compatibility table names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from guestfix.base.patterns import regex
from guestfix.pack.model import Row
from guestfix.pack.traits import fits


def in_series(release: str, series: str) -> bool:
    """Tell whether release starts with series at a whole number: 6.1 has 6.1.55, not 6.12; an empty series has all."""
    return release.startswith(series) and not (series and release[len(series) : len(series) + 1].isdigit())


def has_flavour(release: str, flavour: str, flavours: Mapping[str, Sequence[str]]) -> bool:
    """Tell whether a release is of this flavour: by the globs that its system gives for it, else as a part of it."""
    if flavour in flavours:
        return fits(release, flavours[flavour])
    return flavour in regex(r"[^A-Za-z0-9]").split(release)


def listed(release: str, row: Row, flavours: Mapping[str, Sequence[str]]) -> bool:
    """Tell whether the row takes this kernel; a row that names no kernels takes all."""
    if any(in_series(release, one) for one in row.get("except", ())):
        return False
    kernels: Sequence[str | Mapping[str, str]] = row.get("kernels", ())
    return not kernels or any(_fits(release, kernel, flavours) for kernel in kernels)


def _fits(release: str, kernel: str | Mapping[str, str], flavours: Mapping[str, Sequence[str]]) -> bool:
    """Tell whether a release is one of an entry's, its ``print`` being what the source printed by mistake, or why."""
    if isinstance(kernel, str):
        return in_series(release, kernel)
    printed = kernel.get("print", "")
    named = [kernel["flavour"], *([printed] if printed and " " not in printed else [])]
    return any(has_flavour(release, one, flavours) for one in named) and in_series(release, kernel.get("series", ""))


def describe(row: Row) -> str:
    """Return the row's kernels as a reader takes them in: ``2.6.32 except 2.6.32-71``."""
    said = [_say(one) for one in row.get("kernels", ())]
    refused = ", ".join(row.get("except", ()))
    return (", ".join(said) or "any") + (f" except {refused}" if refused else "")


def _say(kernel: str | Mapping[str, str]) -> str:
    if isinstance(kernel, str):
        return kernel
    return " ".join(kernel[key] for key in ("series", "flavour") if key in kernel)
