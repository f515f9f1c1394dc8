"""The guest as it would be: a copy-on-write view that collects changes and writes nothing."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

from guestfix.base.bounds import HIVE
from guestfix.base.edit import Content, Link, Splice, apply_splices
from guestfix.base.errors import EditError, GuestError, NotFound, Unreadable
from guestfix.base.globs import glob, path_matches
from guestfix.base.guest import MAX_READ, Disks, GuestFS, Meta, Space, Stat
from guestfix.base.record import field, mutable, replace
from guestfix.base.spliced import open_spliced

NEVER = {
    "user accounts and their rights": (
        "/etc/passwd*", "/etc/shadow*", "/etc/group*", "/etc/gshadow*", "/etc/subuid*", "/etc/subgid*", "/etc/sudoers",
        "/etc/sudoers.d/**", "/etc/doas.conf", "/root/.ssh/**", "/home/*/.ssh/**", "/*/System32/config/SAM",
        "/*/System32/config/SECURITY", "/*/NTDS/**",
    ),
    "SSH host keys": ("/etc/ssh/ssh_host_*",),
    "the package database": (
        "/var/lib/dpkg/**", "/var/lib/rpm/**", "/usr/lib/sysimage/rpm/**", "/lib/apk/db/**", "/usr/lib/apk/db/**",
        "/var/lib/pacman/**", "/var/db/pkg/**",
    ),
}  # fmt: skip
"""What no rule changes, not even one of a stranger: patterns of places, links resolved.

The one way past it is :meth:`Overlay.permitting`, for what the operator asked for by name and brought.
"""

BIG = HIVE
"""No file above this size is ever held in memory by the overlay."""


@mutable
class Draft:
    """One path's planned state. ``splices`` apply to the base's bytes; else ``content`` is all of it."""

    path: str
    content: Content = None
    splices: list[Splice] | None = None
    meta: Meta | None = None
    rules: list[str] = field(default_factory=list)
    diff: str = ""


class Overlay:
    """A GuestFS whose files can be changed in memory. What was not changed is read from the base.

    Paths are resolved in the base guest, so a change made through a symbolic link is recorded at the
    file that the link names.
    """

    def __init__(self, base: GuestFS) -> None:
        self.base = base
        self.uri = base.uri
        self.case_insensitive = base.case_insensitive
        self._drafts: dict[str, Draft] = {}
        self._rule = ""
        self._within: tuple[str, ...] = ("/**",)
        self._permitted = ""

    # reading

    def realpath(self, path: str) -> str:
        """See :meth:`GuestFS.realpath`."""
        return self.base.realpath(path)

    def _draft(self, path: str) -> Draft | None:
        return self._drafts.get(self._place(path)) if self._drafts else None

    def _place(self, path: str) -> str:
        """Return the key of path: its folder resolved, and the file too where it is a link of the base."""
        unresolved = self._link_place(path)
        if unresolved in self._drafts:
            return unresolved
        return self.base.realpath(path)

    def stat(self, path: str, *, follow: bool = True) -> Stat | None:
        """See :meth:`GuestFS.stat`."""
        draft = self._draft(path)
        if draft is None or (not follow and self._is_base_link(path)):
            return self.base.stat(path, follow=follow) or self._made_folder(path)
        if draft.splices is not None:
            base = self.base.stat(draft.path)
            grown = sum(len(s.data) - s.length for s in draft.splices)
            return base and Stat("file", base.size + grown, base.mode, base.uid, base.gid, base.mtime_ns, base.atime_ns)
        if draft.content is None:
            return None
        if isinstance(draft.content, Link):
            return (
                self.stat(draft.content.target)
                if follow
                else Stat("symlink", len(draft.content.target), 0o777, 0, 0, 0, 0)
            )
        meta = draft.meta or Meta()
        return Stat("file", len(draft.content), meta.mode, meta.uid or 0, meta.gid or 0, meta.mtime_ns or 0, 0)

    def _is_base_link(self, path: str) -> bool:
        """Tell whether path itself is a link of the base that no draft replaces (its target may be drafted)."""
        linked = self.base.stat(path, follow=False)
        return linked is not None and linked.kind == "symlink" and self._link_place(path) not in self._drafts

    def _made_folder(self, path: str) -> Stat | None:
        prefix = path.rstrip("/") + "/"
        made = any(d.path.startswith(prefix) and d.content is not None for d in self._drafts.values())
        return Stat("dir", 0, 0o755, 0, 0, 0, 0) if made else None

    def meta(self, path: str) -> Meta:
        """See :meth:`GuestFS.meta`."""
        draft = self._draft(path)
        return draft.meta if draft and draft.meta else self.base.meta(path)

    def readlink(self, path: str) -> str:
        """See :meth:`GuestFS.readlink`."""
        draft = self._draft(path)
        if draft is not None and isinstance(draft.content, Link):
            return draft.content.target
        return self.base.readlink(path)

    def read(self, path: str, limit: int = MAX_READ) -> bytes:
        """See :meth:`GuestFS.read`."""
        draft = self._draft(path)
        if draft is None:
            return self.base.read(path, limit)
        if draft.splices is not None:
            return apply_splices(self.base.read(draft.path, BIG), draft.splices)
        if draft.content is None:
            raise NotFound("no such file in the guest", where=path)
        if isinstance(draft.content, Link):
            return self.read(draft.content.target, limit)
        return draft.content

    def open(self, path: str) -> IO[bytes]:
        """See :meth:`GuestFS.open`."""
        draft = self._draft(path)
        if draft is None:
            return self.base.open(path)
        if draft.splices is not None:
            return open_spliced(self.base.open(draft.path), draft.splices)
        return io.BytesIO(self.read(path, BIG))

    def list(self, path: str) -> tuple[str, ...]:
        """See :meth:`GuestFS.list`."""
        names = set(self.base.list(path))
        if not self._drafts:
            return tuple(sorted(names))
        prefix = self.base.realpath(path).rstrip("/") + "/"
        for draft in self._drafts.values():
            if draft.path.startswith(prefix):
                name, _, rest = draft.path[len(prefix) :].partition("/")
                if draft.splices is None and draft.content is None and not rest:
                    names.discard(name)
                elif draft.content is not None:
                    names.add(name)
        return tuple(sorted(names))

    def glob(self, pattern: str) -> tuple[str, ...]:
        """Return the existing paths that match a shell pattern, sorted."""
        return glob(self, pattern)

    def disks(self) -> Disks | None:
        """See :meth:`GuestFS.disks`."""
        return self.base.disks()

    def space(self, path: str) -> Space | None:
        """See :meth:`GuestFS.space`."""
        return self.base.space(path)

    def content(self, path: str, limit: int = MAX_READ) -> Content:
        """Return what the path holds now: bytes, a Link (whose target is absent), or None."""
        if self.stat(path) is not None:
            return self.read(path, limit)
        linked = self.stat(path, follow=False)
        return Link(self.readlink(path)) if linked is not None and linked.kind == "symlink" else None

    def link_or_bytes(self, path: str) -> Content:
        """Return what the path itself is: a Link, whatever it leads to, a file's bytes, or None.

        Raises Unreadable for what is neither, and TooLarge as :meth:`read` does.
        """
        found = self.stat(path, follow=False)
        if found is None:
            return None
        if found.kind == "symlink":
            return Link(self.readlink(path))
        if found.kind != "file":
            raise Unreadable(f"not a regular file but a {found.kind}; it is left alone", where=path)
        return self.read(path)

    def entry(self, path: str) -> str:
        """Return the path with the links of its folder resolved, but not its own."""
        return self._link_place(path)

    # changing

    @contextmanager
    def acting(self, rule: str, within: Sequence[str]) -> Iterator[None]:
        """Attribute the changes made inside the block to rule, which may touch only these globs."""
        before, self._rule, self._within = (self._rule, self._within), rule, tuple(within)
        try:
            yield
        finally:
            self._rule, self._within = before

    @property
    def within(self) -> tuple[str, ...]:
        """The globs that the step at work names: what it may change, or look at."""
        return self._within

    @contextmanager
    def permitting(self, path: str) -> Iterator[None]:
        """Let this path be changed inside the block though it is among NEVER."""
        before, self._permitted = self._permitted, self.entry(path)
        try:
            yield
        finally:
            self._permitted = before

    def put(self, path: str, content: Content, *, like: str = "", mode: int | None = None, diff: str = "") -> None:
        """Make path hold content: bytes, a Link, or None for no file.

        An existing file keeps its metadata. A new one takes owner and mode from ``like`` (a path), with
        ``mode`` laid over it; without ``like`` it takes the owner of its folder and mode 0644. ``diff``
        is shown instead of a unified diff, for binary files; lines of several puts are joined.
        """
        place = self._place(path) if not isinstance(content, Link) else self._link_place(path)
        draft = self._draft_for(path, place, diff)
        known = self.base.stat(place)
        if known is not None and known.kind != "file":
            raise Unreadable(f"not a regular file but a {known.kind}; it is left alone", where=path)
        if draft.meta is None and known is None:
            draft.meta = self._meta_for_new(place, like, mode)
        draft.content, draft.splices = content, None

    def remove(self, path: str) -> None:
        """Make nothing be at path. Of a link that goes, not what it leads to. Raises Unreadable for a folder."""
        place = self._link_place(path)
        self.link_or_bytes(path)
        draft = self._draft_for(path, place, "")
        draft.content, draft.splices = None, None

    def splice(self, path: str, splices: Sequence[Splice], *, diff: str = "") -> None:
        """Change parts of a big file without holding all of it. Offsets count in the base's file."""
        place = self._place(path)
        if place in self._drafts and self._drafts[place].splices is None:
            self.put(place, apply_splices(self.read(place, BIG), list(splices)), diff=diff)
            return
        if self.base.stat(place) is None:
            raise NotFound("no such file in the guest", where=path)
        draft = self._draft_for(path, place, diff)
        draft.splices = [*(draft.splices or []), *splices]

    def append(self, path: str, data: bytes, *, diff: str = "") -> None:
        """Add data at the end of an existing file, which is not read."""
        stat = self.base.stat(path)
        if stat is None:
            raise NotFound("no such file in the guest", where=path)
        self.splice(path, [Splice(stat.size, 0, data)], diff=diff)

    def _draft_for(self, asked: str, place: str, diff: str) -> Draft:
        ignore_case = self.case_insensitive
        if not any(path_matches(one, pattern, ignore_case) for one in (asked, place) for pattern in self._within):
            raise EditError(f"rule {self._rule} may not touch this path: it is outside the globs it names", where=place)
        for kept, patterns in NEVER.items():
            if place != self._permitted and any(path_matches(place, one, True) for one in patterns):
                raise EditError(f"guestfix never changes {kept}, whatever a rule says", where=place)
        draft = self._drafts.setdefault(place, Draft(place))
        if self._rule and self._rule not in draft.rules:
            draft.rules.append(self._rule)
        draft.diff += diff
        return draft

    def _link_place(self, path: str) -> str:
        folder, _, name = path.rpartition("/")
        return f"{self.base.realpath(folder or '/').rstrip('/')}/{name}"

    def _meta_for_new(self, place: str, like: str, mode: int | None) -> Meta:
        folder = place.rpartition("/")[0] or "/"
        while folder != "/" and self.base.stat(folder) is None:
            folder = folder.rpartition("/")[0] or "/"
        source = self.base.stat(like or folder)
        if source is None:
            return Meta(mode=0o644 if mode is None else mode)
        bits = (source.mode if like else 0o644) if mode is None else mode
        return Meta(mode=bits, uid=source.uid, gid=source.gid)

    def snapshot(self) -> dict[str, Draft]:
        """Return the state of all changes so far, for :meth:`restore` and :meth:`touched_since`."""
        return {
            path: replace(draft, splices=draft.splices and list(draft.splices), rules=list(draft.rules))
            for path, draft in self._drafts.items()
        }

    def restore(self, before: dict[str, Draft]) -> None:
        """Forget every change made since the snapshot."""
        self._drafts = before

    def touched_since(self, before: dict[str, Draft]) -> bool:
        """Tell whether any path's planned content differs from the snapshot's."""
        return any(
            path not in before or (before[path].content, before[path].splices) != (draft.content, draft.splices)
            for path, draft in self._drafts.items()
        )

    def is_changed(self, path: str) -> bool:
        """Tell whether the path's planned state is another than the base's, or may be."""
        return self._planned(path) is not None

    def changers(self, path: str) -> tuple[str, ...]:
        """Return the rules that have touched the path; none for what is no path of this guest."""
        draft = self._planned(path)
        return tuple(draft.rules) if draft is not None else ()

    def _planned(self, path: str) -> Draft | None:
        try:
            return self._draft(path) if path.startswith("/") else None
        except GuestError:
            return None

    def drafts(self) -> tuple[Draft, ...]:
        """Return every touched path's state, sorted by path. Some may equal the base after all."""
        return tuple(self._drafts[path] for path in sorted(self._drafts))
