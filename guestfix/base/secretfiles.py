"""Secrets in whole files, line by line: those whose name stands on another line, and files that are nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from guestfix.base.patterns import regex
from guestfix.base.secrets import HIDDEN, NAME, masked

_WHOLE = regex(
    r"(?:.*/)?(?:g?shadow-?|(?:chap|pap)-secrets|ipsec\.secrets|[^/]*\.secrets|\.netrc|\.pgpass|\.?htpasswd"
    r"|ssh_host_\w+_key|id_(?:rsa|dsa|ecdsa|ed25519)|[^/]*keyfile(?:\.bin)?|[^/]+\.(?:key|pem\.key)|opasswd)"
    r"|/etc/(?:keys|cryptsetup-keys\.d|luks-keys|wireguard/keys)/.*"
)
"""Files that hold secrets and nothing else."""
_SEED = regex(r".*/(?:user|vendor)[-_]?data(?:\.txt|\.txt\.i)?", re.IGNORECASE)
"""What cloud-init was given (a NoCloud seed, /var/lib/cloud/instances/*/user-data.txt): configuration, or a script."""
_CRYPTTAB = regex(r"^(?!\s*#)(\s*\S+\s+\S+\s+)(?!/|none(?:\s|$)|-(?:\s|$)|#)(\S+)(.*)")
_KEYS = regex(r"(?:.*/)?(?:ifcfg|keys)-[^/]*")
_KEY = regex(r"(\s*KEY\d?\s*=\s*).+", re.IGNORECASE)
_BEGIN = regex(r"-----BEGIN[ A-Z0-9]*PRIVATE KEY-----")
_END = regex(r"-----END[ A-Z0-9]*PRIVATE KEY-----")
_SECTION = regex(r"\s*\[([^\]]+)\]")
_ASSIGNED = regex(r"(\s*[^=\s#;][^=]*=\s*)\S.*")
_BLOCK = regex(
    rf"(\s*(?:-\s+)?)[\"']?(?:{NAME}|[\w-]*_private|content|chpasswd)[\"']?\s*:\s*([|>][-+0-9]*|&\w+)?\s*(?:#.*)?",
    re.IGNORECASE,
)
_CONTENT = regex(r"(\s*(?:-\s+)?)([\"']?(?:content|[\w-]*_private)[\"']?\s*:\s*)\S.*", re.IGNORECASE)
_INLINE = regex(r"([{,]\s*[\"']?content[\"']?\s*:\s*)(?:\"(?:[^\"\\]|\\.)*\"?|'[^']*'?|[^,}\n]+)", re.IGNORECASE)
_CLOUD = regex(r"#cloud-config|write_files|chpasswd|ssh_keys")
_KEPT = regex(r"\s*(?:(?:expire|type|name|encrypt)\s*:|(?:list|users)\s*:\s*[|>]?[-+0-9]*\s*$)")
_OPENED = regex(rf"<(?:\w+:)?({NAME})(?:\s[^<>]*)?>", re.IGNORECASE)
_MARKED = regex(r"<!\[CDATA\[(?:(?!\]\]>).)*(?:\]\]>)?|<!--(?:(?!-->).)*(?:-->)?")
_CONTENTS = regex(r">[^<>]*[^<>\s][^<>]*")


def mask(path: str, lines: Sequence[str]) -> list[str]:
    """Return the lines without their secrets; see :func:`guestfix.base.secrets.masked_lines`."""
    text = "".join(lines)
    script = _SEED.fullmatch(path) is not None and not text.lstrip().startswith("#cloud-config")
    if script or _WHOLE.fullmatch(path):
        return [_hidden(line) for line in lines]
    shown: Sequence[str] = lines
    if path.endswith("crypttab"):
        shown = [_kept(_CRYPTTAB.sub(rf"\g<1>{HIDDEN}\3", line), line) for line in shown]
    if _KEYS.fullmatch(path):
        shown = [_kept(_KEY.sub(rf"\g<1>{HIDDEN}", line), line) for line in shown]
    if _BEGIN.search(text):
        shown = list(_keys(shown))
    if "[" in text and "ecret" in text:
        shown = list(_sections(shown))
    if ":" in text:
        shown = list(_blocks(shown, _CLOUD.search(text) is not None))
    if "</" in text:
        shown = list(_elements(shown))
    return [masked(line) for line in shown]


def _kept(shown: str, line: str) -> str:
    """Give a line that was changed the end that it had."""
    end = line[len(line.rstrip("\r\n")) :]
    return shown.rstrip("\r\n") + end


def _hidden(line: str) -> str:
    """Hide a whole line behind its indentation; comments and empty lines stay."""
    bare = line.strip()
    if not bare or bare.startswith("#"):
        return line
    return _kept(line[: len(line) - len(line.lstrip())] + HIDDEN, line)


def _keys(lines: Sequence[str]) -> Iterator[str]:
    """Hide what stands between the marks of a private key."""
    inside = False
    for line in lines:
        if inside and _END.search(line):
            inside = False
        yield _hidden(line) if inside else line
        found = _BEGIN.search(line)
        inside = inside or (found is not None and not _END.search(line, found.end()))


def _sections(lines: Sequence[str]) -> Iterator[str]:
    """Hide every value of an INI section that is one of secrets (NetworkManager's ``[vpn-secrets]``)."""
    secret = False
    for line in lines:
        if found := _SECTION.match(line):
            secret = "secret" in found[1].lower()
        yield _kept(_ASSIGNED.sub(rf"\g<1>{HIDDEN}", line), line) if secret else line


def _blocks(lines: Sequence[str], cloud: bool) -> Iterator[str]:
    """Hide what is indented below a YAML key that stands for a secret; of cloud-init also contents and accounts."""
    column, listed = -1, False
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if column >= 0 and line.strip():
            if indent > column or (listed and indent == column and line.lstrip().startswith("-")):
                yield line if _KEPT.match(line) else _hidden(line)
                continue
            column = -1
        found = _BLOCK.fullmatch(line.rstrip("\r\n"))
        if found and (cloud or not _of_cloud(line)):
            column, listed = len(found[1]), not found[2] and "-" not in found[1]
        elif cloud and (found := _CONTENT.match(line)):
            column, listed = len(found[1]), False
            line = _kept(f"{found[1]}{found[2]}{HIDDEN}", line)
        elif cloud:
            line = _INLINE.sub(rf"\g<1>{HIDDEN}", line)
        yield line


def _of_cloud(line: str) -> bool:
    return line.strip().lstrip("- \"'").lower().startswith(("content", "chpasswd"))


def _elements(lines: Sequence[str]) -> Iterator[str]:
    """Hide the text inside XML elements that are named after a secret, with all that is in them."""
    name = ""
    for line in lines:
        found = None if name else _OPENED.search(line)
        at = found.end() if found else 0
        name = found[1] if found else name
        if not name:
            yield line
            continue
        close = line.lower().find(f"</{name.lower()}>", at)
        close = close if close >= 0 else _prefixed(line, name, at)
        end = close if close >= 0 else len(line)
        inner = line[at:end]
        plain = _CONTENTS.sub(f">{HIDDEN}", ">" + _MARKED.sub(HIDDEN, inner.rstrip("\r\n")))[1:]
        yield line[:at] + plain + inner[len(inner.rstrip("\r\n")) :] + line[end:]
        name = "" if close >= 0 else name


def _prefixed(line: str, name: str, at: int) -> int:
    found = re.compile(rf"</\w+:{re.escape(name)}>", re.IGNORECASE).search(line, at)
    return found.start() if found else -1
