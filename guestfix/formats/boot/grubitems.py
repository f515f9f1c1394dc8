"""What GRUB lists: entries, submenus, and what their commands find when they run.

Source: GRUB manual "Writing full configuration files directly"; grub-core/normal/menu.c.
"""

from __future__ import annotations

from guestfix.base.record import mutable
from guestfix.formats.boot import grubsearch
from guestfix.formats.boot.grubbudget import Budget
from guestfix.formats.boot.grubcfg import Node, Script

FEATURES = (
    "feature_menuentry_id",
    "feature_timeout_style",
    "feature_platform_search_hint",
    "feature_all_video_module",
    "feature_default_font_path",
    "feature_chainloader_bpb",
    "feature_ntldr",
    "feature_nativedisk_cmd",
    "feature_200_final",
)

EXPORTED = frozenset((*FEATURES, "root", "prefix", "grub_cpu", "grub_platform", "?", "pager", "lang", "cmdpath"))
"""What a submenu sees besides the variables that a script exports."""


@mutable
class Context:
    """What an entry's commands find, as the menu's scripts leave it: not the machine, which holds the guest."""

    budget: Budget
    env: dict[str, str]
    functions: dict[str, tuple[Node, Script]]
    exported: set[str]

    def for_submenu(self) -> dict[str, str]:
        """Return the variables that a submenu starts with: the exported ones."""
        return {name: value for name, value in self.env.items() if name in EXPORTED or name in self.exported}


@mutable
class MenuEntry:
    """An entry or submenu as GRUB would list it. ``path`` names the file, ``line`` where it begins.

    ``restricted``: where superusers are set, it asks for a name and a password.
    """

    title: str
    id: str
    node: Node
    script: Script
    path: str
    line: int
    menu: Context
    is_submenu: bool = False
    restricted: bool = False


@mutable
class BlsHere:
    """The place of the menu where ``blscfg`` puts the entries of loader/entries."""

    env: dict[str, str]
    path: str
    line: int


Item = MenuEntry | BlsHere


@mutable
class Result:
    """The menu, GRUB's variables at the end, ``lost`` searches, and ``reasons``: what could not be followed."""

    path: str
    items: list[Item]
    env: dict[str, str]
    reasons: list[str]
    visited: list[str]
    lost: list[grubsearch.Search]
