"""SELinux labels of new files, from the guest's own file_contexts, never the host's policy.

Format: selabel_file(5). Of the lines whose pattern matches, the last one counts; ``file_contexts.local``
comes behind the policy's own file. The patterns come from the guest, so they are not trusted: one that could
take long to match is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from guestfix.base.patterns import regex

XATTR = "security.selinux"
MAX_PATTERN = 512
MAX_LINES = 200_000

_META = regex(r"[.^$?*+|(){\[\\]")
_UNBOUNDED = regex(r"(?<!\\)[*+]|(?<!\\)\{\d*,\}")
_REPEATED_GROUP = regex(r"\)(?:[*+]|\{)")
_TYPES = {"--": "file", "-l": "symlink", "-d": "dir"}


def policy_type(config: bytes) -> str | None:
    """Return the policy's name (``targeted``) from /etc/selinux/config; None where SELinux is disabled."""
    values: dict[bytes, bytes] = {}
    for line in config.split(b"\n"):
        name, equals, value = line.strip().partition(b"=")
        if equals and not name.startswith(b"#"):
            values[name.strip()] = value.strip()
    kind = values.get(b"SELINUXTYPE", b"").decode("ascii", "replace")
    if values.get(b"SELINUX", b"disabled") == b"disabled" or not regex(r"[A-Za-z0-9_-]{1,64}").fullmatch(kind):
        return None
    return kind


def mode(config: bytes) -> tuple[str, int, str]:
    """Return enforcing, permissive or disabled, as /etc/selinux/config says it, with the line; 0 where none says it.

    The last line counts.
    """
    found = "disabled", 0, ""
    for number, line in enumerate(config.decode("utf-8", "replace").split("\n"), 1):
        name, equals, value = line.strip().partition("=")
        word = value.strip().lower()
        if equals and name.strip() == "SELINUX" and word in ("enforcing", "permissive", "disabled"):
            found = word, number, line.strip()[:200]
    return found


def label_for(path: str, kind: str, contexts: Iterable[bytes]) -> bytes | None:
    """Return the label of a path as the xattr holds it (with a NUL at its end), or None without a match.

    ``kind`` is ``file``, ``symlink`` or ``dir``; ``contexts`` are the contents of the file_contexts files,
    the one that counts most last.
    """
    for text in reversed(list(contexts)):
        for line in reversed(text.decode("utf-8", "replace").split("\n")[:MAX_LINES]):
            context = _match(line, path, kind)
            if context is not None:
                return None if context == "<<none>>" else context.encode() + b"\0"
    return None


def _match(line: str, path: str, kind: str) -> str | None:
    fields = line.split()
    if len(fields) not in (2, 3) or not fields[0].startswith("/"):
        return None
    pattern, context = fields[0], fields[-1]
    if len(fields) == 3 and _TYPES.get(fields[1]) != kind:
        return None
    meta = _META.search(pattern)
    if meta is None:
        return context if pattern == path else None
    stem = pattern[: meta.start()]
    if pattern[meta.start()] in "?*{":
        stem = stem[:-1]
    if not path.startswith(stem) or not _is_quick(pattern):
        return None
    try:
        return context if re.fullmatch(pattern, path) else None
    except (re.error, RecursionError, OverflowError):
        return None


def _is_quick(pattern: str) -> bool:
    """Tell whether matching can't take long: no repeated groups, and few open repetitions."""
    return (
        len(pattern) <= MAX_PATTERN
        and not _REPEATED_GROUP.search(pattern)
        and len(_UNBOUNDED.findall(pattern)) <= 3
        and "(?" not in pattern.replace("(?:", "(")
    )
