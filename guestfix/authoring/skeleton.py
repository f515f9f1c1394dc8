"""What a new rule, system or target starts from: files that load, with cases, and with every place to fill in named."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from guestfix.base.errors import GuestfixError, UsageError
from guestfix.base.patterns import regex

_WORD = r"[a-z0-9]+(?:[._-][a-z0-9]+)*"
_NAMES = {
    "fix": (regex(rf"{_WORD}/{_WORD}\Z"), "TOPIC/NAME, such as acme/motd"),
    "system": (regex(r"[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*\Z"), "what ID= says in os-release, such as acme-linux"),
    "target": (regex(rf"{_WORD}\Z"), "a word, such as acme-cloud"),
}
KINDS = tuple(_NAMES)

_PACK = """\
id: {pack}
version: "1"
extends: guestfix                             # on top of the pack that comes with guestfix
"""

_RULE = """\
id: {name}
title: Set CHANGE_ME in /etc/example.conf
why: >-
  What goes wrong on the target without it, in a sentence that an administrator understands.
sources: ["example.conf(5)"]                  # where that is said
since: {today}
confidence: likely                            # certain | confident | likely | possible: the last two are only offered
severity: warning                             # of the finding if the rule fails: info | warning | blocker
when:                                         # all must hold; see: guestfix list facts
  - os.family == linux
  - exists /etc/example.conf
do:
  - in: /etc/example.conf                     # the rule can change nothing else
    op: shellvars.set                         # see: guestfix list ops, guestfix explain shellvars.set
    args: {{name: CHANGE_ME, value: "yes"}}
"""

_SYSTEM = """\
id: {name}
title: {name}
family: linux
arch: [x86_64]
releases: ["1.0"]                             # all that there have been: what no row covers is a mistake
names:
  words: [{lower}]                            # how its line in a release file or /etc/issue begins, in lower case
facts:                                        # what is known of it: see rules/README.md, A system
  init: systemd
sources:
  - tells: [init]
    source: "where this is said"
    date: {today}
rows:
  - version: "1.0"
    verdict: unlisted                         # supported only where the owner of the table says so
    confidence: likely
    source: "where this is said"
    date: {today}
"""

_TARGET = """\
id: {name}
extends: kvm-virtio                           # what is not said here is as there: see targets/kvm-virtio.yaml
title: {name}
source: "where this is said"
date: {today}
console: "ttyS0,115200n8"
"""

_RELEASE = 'ID=example\nVERSION_ID="1"\nPRETTY_NAME="Write here what your guest has"\n'

_FILES: dict[str, dict[str, str]] = {
    "fix": {
        "fix/{name}/rule.yaml": _RULE,
        "fix/{name}/cases/acts/case.yaml": "title: It is set where another value is\n",
        "fix/{name}/cases/acts/in/etc/os-release": _RELEASE,
        "fix/{name}/cases/acts/in/etc/example.conf": "# example\nCHANGE_ME=no\n",
        "fix/{name}/cases/rests/case.yaml": "title: Nothing is changed where it is set already\n",
        "fix/{name}/cases/rests/in/etc/os-release": _RELEASE,
        "fix/{name}/cases/rests/in/etc/example.conf": "CHANGE_ME=yes\n",
    },
    "system": {
        "os/{name}/os.yaml": _SYSTEM,
        "os/{name}/cases/first/case.yaml": "title: It is told by os-release, and judged by its own row\n",
        "os/{name}/cases/first/in/etc/os-release": 'ID={name}\nVERSION_ID="1.0"\nPRETTY_NAME="{name} 1.0"\n',
        "os/{name}/cases/first/in/etc/fstab": "UUID=6b1f1a52-8d0b-4f6e-9a57-0d6f6a1a0002 / ext4 defaults 0 1\n",
    },
    "target": {"targets/{name}.yaml": _TARGET},
}


def new(kind: str, name: str, pack: str, today: str) -> list[Path]:
    """Write the files that a new ``kind`` (fix, system or target) starts from into a pack; return their paths.

    The pack is made where there is none. Raises UsageError for a name that can't be one, and where the files are
    there already, or GuestfixError where they can't be written; nothing is overwritten.
    """
    pattern, like = _NAMES[kind]
    if not pattern.match(name):
        raise UsageError(f"a {kind} can't be named {name!r}", remedy=f"name it {like}")
    root = Path(pack)
    values = {"name": name, "lower": name.lower(), "pack": _pack_id(root), "today": today}
    files = {path.format(**values): _fill(text, values) for path, text in _FILES[kind].items()}
    taken = [path for path in files if os.path.lexists(root / path)]
    if taken:
        raise UsageError(f"{root / taken[0]} is there already", remedy="choose another name, or edit what is there")
    if not (root / "pack.yaml").exists():
        files = {"pack.yaml": _fill(_PACK, values), **files}
    return [_write(root / path, text) for path, text in files.items()]


def _fill(text: str, values: Mapping[str, str]) -> str:
    return text.format(**values) if "{" in text else text


def _pack_id(root: Path) -> str:
    name = root.resolve().name.lower()
    return name if regex(rf"{_WORD}\Z").match(name) else "mine"


def _write(path: Path, text: str) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise GuestfixError(f"can't write it: {error.strerror}", where=str(path)) from error
    return path
