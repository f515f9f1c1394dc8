"""Secrets in texts that are shown: passwords, keys and their hashes, in whatever form a guest's files write them.

This is the one place that knows them. :func:`masked` takes a text of one line or of several, as evidence, findings,
facts, errors and follow-ups have it; :func:`masked_lines` a whole file, where a secret's name stands on another line
than the secret. Masking what is masked changes nothing.

Names and forms are those of mount.cifs(8), NetworkManager's settings (nm-settings-keyfile(5)), wpa_supplicant.conf(5),
ifcfg and keys- files, interfaces(5) with wpasupplicant, netplan's reference, GRUB's ``password_pbkdf2``, SYSLINUX's
``MENU PASSWD``, dracut.cmdline(7) (``rd.iscsi.password``, ``netroot=iscsi:``), iscsid.conf, crypt(5), WireGuard's
wg(8), systemd.netdev(5), cloud-init's modules, the Unattended Windows Setup Reference and Winlogon's registry values.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

from guestfix.base.patterns import regex

HIDDEN = "***"

_WORDS_OF = (
    "pass", "psk", "pw", "secret", "token", "mka", "set_credential", "accountdata", "privatekey", "sharedkey",
    "accesskey", "apikey", "accountkey", "productkey", "keymaterial", "-key", "_key", "private", "shared:", "key:",
    "pin=", "pbkdf2", "authorization", "{s", "{md5", "{crypt", "iscsi:", "write_files",
)  # fmt: skip
_HASHES = ("$1$", "$2", "$5$", "$6$", "$y$", "$7$", "$gy$", "$apr1$", "$sha1$", "$md5$")
"""What a text with a secret in it has somewhere, an address apart; most texts have none of it."""
_LIKELY = regex(
    r"(?:pass|psk|pwd?|secret|token|cak|set_credential|accountdata|key|keymaterial)[\w.-]{0,40}[\"']?\s{0,9}[=:]\s{0,99}\S"
    r"|<[\w:]{0,60}(?:passw(?:or)?d|passphrase|psk|secret|pwd|key|keymaterial|accountdata)>[^\s<]"
    r"|</[\w:]{0,60}(?:passw(?:or)?d|passphrase|psk|secret|pwd|key|keymaterial|accountdata)>"
    r"|(?:passw(?:or)?d\w{0,9}|passphrase|psk|-key\d?)[ \t]+\S|pbkdf2|pin\s*=|private key-|authorization:"
    r"|\{\w{0,4}(?:sha|md5|crypt)|\$\w{1,4}\$|iscsi:[^\s@]{1,256}@|[/#][^\s/:@#]{1,256}:[^\s/]{1,256}@"
    r"|(?:private|shared)\W{1,3}\s*[\w+/]{43}=|chpasswd|_private|write_files",
    re.IGNORECASE,
)
"""What such a word must stand in, for any of the patterns below to be compiled."""


SHORT = 120
"""Characters of a text that is looked at once: reasons, names and kinds are told again and again."""


def _suspect(text: str) -> bool:
    """Tell whether a closer look is worth its time; most texts have no secret."""
    return _suspect_short(text) if len(text) <= SHORT else _has_word(text)


@functools.lru_cache(2048)
def _suspect_short(text: str) -> bool:
    return _has_word(text)


def _has_word(text: str) -> bool:
    low = text.lower()
    for word in _WORDS_OF:
        if word in low:
            return bool(_LIKELY.search(text))
    if ("@" in low and ":" in low) or ("$" in low and any(word in low for word in _HASHES)):
        return bool(_LIKELY.search(text))
    return False


_PASS = r"(?!lock[-_])[\w.-]*(?:passw(?:or)?d|passphrase|psk|secret|pwd)s?(?:[-_](?:in|hash|passwd))?_?\d{0,2}"
_KEYS = (
    r"(?:[\w.-]*[-_.])?(?:pass\d?|token|mka.cak|set_credential(?:_binary)?)"
    r"|[\w.-]*(?:wep|wireless|WIRELESS)[-_]key_?\d?|[\w.-]*(?:access|api|account|secret|product)[-_]?key"
    r"|keymaterial|accountdata|(?:root|boot|admin|bind|user)pw"
)
_PRIVATE = r"[\w.-]*(?:private|preshared|pre-shared|shared)[-_]?key"
_OPEN = r"(?![\"']?(?:/|file:|path:|\*\*\*))"
"""A private key may be named by its file, which is no secret."""
NAME = rf"(?:{_PASS}|{_KEYS})"
"""A name that stands for a secret, as a pattern."""
_ANY = rf"(?<![\w.-])(?!pass=\"){NAME}"
_LEAD = r"^[ \t]*(?:[#;]+[ \t]*)?(?:export[ \t]+|set[ \t]+|-[ \t]+)?[\"']?"

_FLAGS = re.IGNORECASE | re.MULTILINE
_WHOLE = regex(
    rf"({_LEAD}(?:(?!pass=\")(?:{NAME}|(?:sim-)?pin)[\"']?[ \t]*=|{_PRIVATE}[\"']?[ \t]*={_OPEN})[ \t]*)(?=\S)[^\n]+|"
    rf"({_ANY}[\"']? = )[^\n]+",
    _FLAGS,
)
_OPTION = regex(
    rf"({_ANY}[\"']?\s*=\s*|(?<![\w.-]){_PRIVATE}={_OPEN})"
    r"(\"(?:[^\"\\\n]|\\.)*\"?|'[^'\n]*'?|[^,\s\"'](?:[^,\s\"']|,,|[\"'](?=[^\s,\"']))*)",
    re.IGNORECASE,
)
_MAPPED = regex(
    rf"({_LEAD}(?!passwd:[ \t]+(?:files|compat)[ \t]+[a-z\[])"  # nsswitch.conf(5)
    rf"(?:{NAME}|{_PRIVATE})[\"']?[ \t]*:[ \t]+)(?![|>][-+0-9]*[ \t]*$|&\w+[ \t]*$)(?=\S)[^\n]+"
    r"|((?:\bkey|private|shared)[\"']?\s*:\s+[\"']?)[\w+/]{43}=",
    _FLAGS,
)
_FLOW = regex(
    rf"([{{,\[]\s*[\"']?(?:{NAME}|{_PRIVATE})(?:[\"']\s*:\s*|\s*:\s+))(\"(?:[^\"\\\n]|\\.)*\"?|'[^'\n]*'?|[^,}}\]\n]+)",
    re.IGNORECASE,
)
_WORDS = regex(
    rf"({_LEAD}(?:[\w-]+-(?:psk|passw(?:or)?d|passphrase|wep-key\d?)|wireless-key\d?|menu[ \t]+(?:master[ \t]+)?passwd"
    r"|password_pbkdf2)[ \t]+)(?=\S)[^\n]+"
    r"|(^[ \t]*(?:[#;]+[ \t]*)?password[ \t]+)(?![^\n]*pam_)(?:\S+[ \t]*){1,3}$"
    rf"|((?<!\S)--{NAME}[ \t]+)(?!-)\S+",
    _FLAGS,
)
_ELEMENT = regex(rf"(<(?:\w+:)?(?:{NAME})(?:\s[^<>]*)?>\s*(?:<Value>)?\s*)[^<\s][^<]*", re.IGNORECASE)
_ADDRESS = regex(r"(?<=[/#])([^\s/:@#,]{1,256}):[^\s/]{1,256}@(?=[\w.\[-])")
_ISCSI = regex(r"(?<![\w.-])((?:netroot|root)=(?:dhcp6?[:,])?iscsi:)[^@\s\"']+@", re.IGNORECASE)
_HASH = regex(
    r"\$(?:1|5|6|apr1|sha1|md5)\$(?:rounds=\d+\$)?[./0-9A-Za-z]{1,16}\$[./0-9A-Za-z]{8,}"
    r"|\$2[abxy]?\$\d\d\$[./0-9A-Za-z]{20,}|\$(?:y|gy|7)\$[./0-9A-Za-z]+\$[./$0-9A-Za-z]+"
    r"|grub\.pbkdf2\.[\w.]+|\{(?:S?SHA\d*|S?MD5|CRYPT)\}[^\s\"']+"
    r"|(?<=-----)BEGIN[ A-Z0-9]*PRIVATE KEY-----(?!\n|$).*"
    r"|(?<=authorization: )(?:(?:basic|bearer|token) +)?[^\s\"']+"
    r"|(?<![^\s'\":])[^\s'\":]+(?=['\"]?\s*\|\s*(?:sudo\s+)?chpasswd)",
    re.IGNORECASE,
)


def masked(text: str) -> str:
    """Return the text with each secret replaced by ``***``; the same object where there is none."""
    if not _suspect(text):
        return text
    shown = _HASH.sub(HIDDEN, text)
    if "@" in shown:
        shown = _ADDRESS.sub(lambda found: f"{found[1]}:{HIDDEN}@", shown)
        shown = _ISCSI.sub(lambda found: f"{found[1]}{HIDDEN}@", shown)
    if "=" in shown:
        shown = _OPTION.sub(_hide, _WHOLE.sub(_hide, shown))
    if ":" in shown:
        shown = _FLOW.sub(_hide, _MAPPED.sub(_hide, shown))
    if "<" in shown:
        shown = _ELEMENT.sub(_hide, shown)
    shown = _WORDS.sub(_hide, shown)
    return text if shown == text else shown


def _hide(found: re.Match[str]) -> str:
    """Keep what leads to the secret."""
    lead = next(text for text in found.groups() if text is not None)
    return f"{lead}{HIDDEN}"


def masked_lines(path: str, lines: Sequence[str]) -> Sequence[str]:
    """Return the lines of the file at a guest path with each secret replaced; the same object where there is none.

    There are as many lines as before, with their ends. Secrets that reach over lines (keys, YAML blocks, XML) go too.
    """
    if not _PLACE.search(path) and not _suspect("".join(lines)):
        return lines
    from guestfix.base.secretfiles import mask

    return mask(path, lines)


def masked_at(path: str, text: str) -> str:
    """Return what stands on a line of the file at a guest path without its secrets."""
    return "".join(masked_lines(path, [text])) if text and _PLACE.search(path) else masked(text)


_PLACE = regex(
    r"secrets|shadow|crypttab|(?:ifcfg|keys)-[^/]*$|(?:user|vendor).?data|[._]key$|keyfile|/(?:luks-|cryptsetup-)?keys"
    r"|/id_[a-z0-9]+$|netrc|pgpass|htpasswd|opasswd",
    re.IGNORECASE,
)
"""Where secrets may stand under no name at all."""


def masked_value(value: object) -> object:
    """Return a value in JSON form with its texts masked, and what stands under the name of a secret hidden."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, list):
        return [masked_value(item) for item in value]
    if isinstance(value, dict):
        return {
            key: HIDDEN if item and isinstance(item, str) and _is_secret(str(key)) else masked_value(item)
            for key, item in value.items()
        }
    return value


def _is_secret(name: str) -> bool:
    return _suspect(f"{name}=x") and _NAMED.fullmatch(name) is not None


_NAMED = regex(NAME, re.IGNORECASE)
