"""Which operating system the files of one filesystem are the root of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from guestfix.backends.layout.model import View


def system_of(view: View) -> str:
    """Return the system's name as people know it, empty where this is no root. GuestError where it is damaged."""
    return _linux(view) or _windows(view)


def _linux(view: View) -> str:
    """Return the system's name where this is the root of a Linux: /etc with what only a root has."""
    if view.stat("/etc") is None:
        return ""
    named = release_name(view, "/etc/os-release", "/usr/lib/os-release")
    if named:
        return named
    marks = ("redhat-release", "SuSE-release", "debian_version", "system-release", "lsb-release", "fstab", "inittab")
    return "Linux" if any(view.stat(f"/etc/{name}") for name in marks) and _has_usr(view) else ""


def release_name(view: View, *paths: str) -> str:
    """Return the name in the first os-release that is there, empty where none is."""
    for path in paths:
        found = view.stat(path)
        if found is not None and found.kind == "file":
            text = view.read(path).decode("utf-8", "replace")
            match = re.search(r'^PRETTY_NAME=["\']?([^"\'\n]+)', text, re.M)
            variant = re.search(r"^VARIANT_ID=(.*)", text, re.M)
            return (match[1] if match else "Linux") + (f" ({variant[1]})" if variant else "")
    return ""


def _has_usr(view: View) -> bool:
    """Tell a root from a copied /etc: the folders that every root has, if only as mount points."""
    return all(view.stat(f"/{name}") is not None for name in ("usr", "var"))


def _windows(view: View) -> str:
    for path in ("/Windows/System32/config/SYSTEM", "/WINNT/system32/config/system"):
        found = view.stat(path)
        if found is not None and found.kind == "file":
            return "Windows"
    return ""
