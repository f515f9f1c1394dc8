"""Packages and scripts of the operator that a Linux guest installs at its first start, once.

A package or script of the payload counts with a YAML of the same name beside it, which says for whom it is. Its files
are put into the guest with their digests, for root alone to read; nothing of them runs here.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from guestfix.actions.described import check, check_all, read_description
from guestfix.actions.payload import Payload, open_payload
from guestfix.actions.system import services
from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.facts.storage import FSTAB_INIT
from guestfix.base.catalog.facts.system import OS_ARCH, OS_ID, OS_VERSION, PAYLOAD_DIR
from guestfix.base.digest import digest_bytes
from guestfix.base.errors import UsageError
from guestfix.base.facts import Evidence
from guestfix.base.patterns import regex
from guestfix.base.record import frozen
from guestfix.base.text import some
from guestfix.detect.files import exists
from guestfix.detect.system.programs import Programs
from guestfix.formats import firststart
from guestfix.formats.sshkeys import SUFFIX as PUBLIC_KEY
from guestfix.pack.ranges import RangeError, Span, key_of, parse_span
from guestfix.pack.schema import Reader

KEYS = ("title", "with", "args", "arch", "systems", "versions", "targets", "seconds", "sha256")
SECONDS, LONGEST = 600, 24 * 3600
MOST_FILES, MOST_BYTES = 256, 256 << 20
"""Of one package with what it brings along, and of all that one guest is given."""

_SAFE = regex(r"[A-Za-z0-9_][A-Za-z0-9_.+~:%=@-]{0,199}\Z")
_ODD = regex(r"[\x00-\x1f\x7f]")
_SHA256 = regex(r"[0-9a-fA-F]{64}\Z")


@frozen
class Kind:
    """A kind of package: how its files begin, the program that installs it, and the words of that command line."""

    magic: tuple[bytes, ...]
    program: str
    words: tuple[str, ...]


KINDS = {
    ".deb": Kind((b"!<arch>\ndebian",), "dpkg", ("--force-confdef", "--force-confold", "-i")),
    ".rpm": Kind((b"\xed\xab\xee\xdb",), "rpm", ("-U", "--replacepkgs", "-v")),
    ".apk": Kind((b"\x1f\x8b", b"ADB"), "apk", ("add", "--no-network", "--allow-untrusted")),
    ".pkg.tar.zst": Kind((b"\x28\xb5\x2f\xfd",), "pacman", ("-U", "--noconfirm")),
    ".pkg.tar.xz": Kind((b"\xfd7zXZ",), "pacman", ("-U", "--noconfirm")),
    ".sh": Kind((b"#!",), "sh", ()),
}
"""By the end of the file's name."""


@frozen
class Brought:
    """A package or script: its path in the payload, what it is called, for whom it is, and the files it brings along.

    ``digests`` are those that its YAML vouches for, by path. An empty list of systems, versions, processors or targets
    fits any.
    """

    path: str
    ending: str
    title: str
    others: tuple[str, ...]
    args: tuple[str, ...]
    arch: tuple[str, ...]
    systems: tuple[str, ...]
    versions: tuple[Span, ...]
    targets: tuple[str, ...]
    seconds: int
    digests: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """The file's name, by which its folder in the guest goes too."""
        return self.path.rpartition("/")[2]

    @property
    def task(self) -> firststart.Task:
        """What the first start does with it."""
        kind = KINDS[self.ending]
        files = [f"./{self.name}", *(f"./{one.rpartition('/')[2]}" for one in self.others)]
        if self.ending == ".sh":
            return firststart.Task(self.name, (kind.program, files[0], *self.args), self.seconds)
        return firststart.Task(self.name, (kind.program, *kind.words, *self.args, *files), self.seconds)


def stage(bench: Workbench) -> None:
    """Put what fits the guest of the payload into it, with a script that installs it once, and what starts that.

    Raises UsageError for an unreadable payload, one beyond MOST_BYTES, or a file that is not what its YAML says, and
    PackError for a YAML with mistakes.
    """
    payload = open_payload(str(bench.facts.value(PAYLOAD_DIR)))
    found = list(described(payload))
    reasons = {one.path: _misfit(bench, one) for one in found}
    fitting = [one for one in found if not reasons[one.path]]
    shown = Evidence("payload", 0, some(one.path for one in found) if found else some(payload.files))
    if not found and not any(one.endswith(PUBLIC_KEY) for one in payload.files):
        what = f"the payload holds nothing for a Linux guest: no {', '.join(KINDS)} with a YAML beside it"
        bench.find("GF-PAYLOAD-UNFIT", "warning", what, shown)
    elif found and not fitting:
        what = f"nothing of the payload fits: {some(f'{path}: {why}' for path, why in reasons.items())}"
        bench.find("GF-PAYLOAD-UNFIT", "warning", what, shown)
    if not fitting:
        return
    starter = firststart.STARTERS.get(bench.facts.value(FSTAB_INIT, ""))
    if starter is None or exists(bench.fs, firststart.MARKER):
        init = bench.facts.value(FSTAB_INIT, "an init that is not known")
        why = "the first start is over" if starter else f"nothing would start it under {init}"
        what = f"{why}, so that nothing of the payload is installed: {some(one.name for one in fitting)}"
        seen = Evidence(firststart.MARKER) if starter else shown
        bench.find("GF-PAYLOAD-UNFIT", "warning", what, seen, remedy="install it in the guest")
        return
    _place(bench, payload, fitting)
    path, text, mode = starter
    bench.fs.put(path, text.encode(), mode=mode)
    services.enable(bench, names=[firststart.NAME])
    names = some(one.title for one in fitting)
    bench.follow_up(f"{names}: installed at the first start; `guestfix status` and {firststart.LOG} tell how it went")


def _place(bench: Workbench, payload: Payload, fitting: list[Brought]) -> None:
    total = 0
    for one in fitting:
        rows = []
        for path in (one.path, *one.others):
            data = payload.read(path)
            total += len(data)
            if total > MOST_BYTES:
                raise UsageError(f"the payload's files for this guest come to more than {MOST_BYTES} bytes", where=path)
            digest = _checked(one, path, data)
            name = path.rpartition("/")[2]
            rows.append(f"{digest}  {name}\n")
            bench.fs.put(f"{firststart.TASKS}/{one.name}/{name}", data, mode=0o600)
        bench.fs.put(f"{firststart.TASKS}/{one.name}/{firststart.DIGESTS}", "".join(rows).encode())
    bench.fs.put(firststart.SCRIPT, firststart.script_of([one.task for one in fitting]), mode=0o755)


def _checked(one: Brought, path: str, data: bytes) -> str:
    """Return the SHA-256 of a file. Raises UsageError where it is another than the YAML says, or no such package."""
    digest = digest_bytes([data]).removeprefix("sha256:")
    wanted = dict(one.digests).get(path)
    if wanted and wanted != digest:
        raise UsageError(f"the file's SHA-256 is {digest}, and the YAML beside {one.name} says {wanted}", where=path)
    kind = KINDS.get(_ending(path))
    if kind is not None and not data.startswith(kind.magic):
        raise UsageError(f"this is no {_ending(path)}: its first bytes are others", where=path)
    return digest


# which there are


def described(payload: Payload) -> Iterator[Brought]:
    """Yield the packages and scripts that have a YAML beside them. Raises PackError for mistakes in one of those."""
    known = frozenset(payload.files)
    taken: set[str] = set()
    for path in payload.files:
        ending = _ending(path)
        stem = path.removesuffix(ending)
        beside = next((one for one in (f"{stem}.yaml", f"{stem}.yml") if one in known), None) if ending else None
        if beside is None:
            continue
        found = _read(payload, path, ending, beside, known)
        if found.name in taken:
            raise UsageError("two things of the payload have this name", where=path, remedy="rename one of them")
        taken.add(found.name)
        yield found


def _ending(path: str) -> str:
    return next((one for one in KINDS if path.endswith(one)), "")


def _read(payload: Payload, path: str, ending: str, beside: str, known: frozenset[str]) -> Brought:
    reader = read_description(payload, beside, "a package or script", KEYS)
    folder = path.rpartition("/")[0]
    others = tuple(f"{folder}/{one}".lstrip("/") for one in reader.texts("with"))
    _check_names(reader, path, others, known)
    check_all(reader, "args", lambda one: "it has control characters" if _ODD.search(one) else "")
    seconds = reader.number("seconds")
    if seconds is not None and not 0 < seconds <= LONGEST:
        reader.complain(reader.keys["seconds"].mark, f"'seconds' must be from 1 to {LONGEST}")
    found = Brought(
        path,
        ending,
        reader.text("title", "") or path.rpartition("/")[2],
        others,
        reader.texts("args"),
        reader.texts("arch"),
        reader.texts("systems"),
        tuple(_spans(reader)),
        reader.texts("targets"),
        seconds or SECONDS,
        tuple(_digests(reader, path, others)),
    )
    check(reader)
    return found


def _check_names(reader: Reader, path: str, others: tuple[str, ...], known: frozenset[str]) -> None:
    """Complain of files that are not there, and of names that a shell or a package manager could take for more."""
    mark = reader.keys["with"].mark if "with" in reader.keys else reader.node.mark
    names = [one.rpartition("/")[2] for one in (path, *others)]
    if len(names) > MOST_FILES or len(set(names)) < len(names):
        reader.complain(mark, f"at most {MOST_FILES} files go together, each of another name")
    for one, name in zip((path, *others), names, strict=True):
        if not _SAFE.match(name) or name == firststart.DIGESTS:
            reader.complain(mark, f"a file can't be brought by the name {name[:80]!a}", "letters, digits and ._+~:%=@-")
        elif one not in known:
            reader.complain(mark, f"the payload has no file {one[:200]!a}")


def _spans(reader: Reader) -> Iterator[Span]:
    for text in reader.texts("versions"):
        try:
            yield parse_span(text, "plain")
        except RangeError as error:
            reader.complain(reader.keys["versions"].mark, str(error))


def _digests(reader: Reader, path: str, others: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield the digests that the YAML gives: one text for the package itself, or a mapping by the files' names."""
    node = reader.child("sha256")
    if node is None:
        return
    given = {path.rpartition("/")[2]: node.text} if node.text is not None else {}
    given.update((name, one.text or "") for name, one in (node.keys or {}).items())
    by_name = {one.rpartition("/")[2]: one for one in (path, *others)}
    for name, text in given.items():
        if name not in by_name or not _SHA256.match(text):
            reader.complain(node.mark, "'sha256' has the 64 hexadecimal digits of a file that is brought, by its name")
        else:
            yield by_name[name], text.lower()


# for whom


def _misfit(bench: Workbench, one: Brought) -> str:
    """Return why this is not for the guest, empty where it is."""
    ident, version = bench.facts.value(OS_ID, ""), bench.facts.value(OS_VERSION, "")
    arch = bench.facts.value(OS_ARCH, "")
    if one.systems and ident not in one.systems:
        return f"for {', '.join(one.systems)}, the guest is {ident or 'not known'}"
    key = key_of(version, "plain") if version else None
    if one.versions and not any(key and span.holds(key) for span in one.versions):
        return f"for other versions than {version or 'one that is not known'}"
    if one.arch and arch not in one.arch:
        return f"for {', '.join(one.arch)}, the guest is {arch or 'not known'}"
    if one.targets and not any(fnmatchcase(bench.target.id, glob) for glob in one.targets):
        return f"for {', '.join(one.targets)}, the target is {bench.target.id}"
    programs = Programs(bench.fs)
    if programs.complete and not programs.path(KINDS[one.ending].program):
        return f"the guest has no {KINDS[one.ending].program}"
    return ""
