r"""Programs of the operator that are installed at a Windows' first start: guest agents, agents of clouds.

A program is a ``.msi`` or ``.exe`` of the payload with a YAML of the same name beside it, which says how it installs
without asking anybody. They are run once by the service of the first start, after the drivers; each one's exit code,
and for ``.msi`` its log, stay in ``\Windows\guestfix\programs``.
"""

from __future__ import annotations

from collections.abc import Iterator

from guestfix.actions.described import check, check_all, read_description
from guestfix.actions.payload import Payload, open_payload
from guestfix.actions.windows.firstboot import PROGRAMS, put_changed, put_script, register, runs_at_first_start
from guestfix.actions.windows.registry import editing_system, root_of, seen
from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.facts.system import OS_ARCH, OS_VERSION, PAYLOAD_DIR
from guestfix.base.patterns import regex
from guestfix.base.record import frozen
from guestfix.formats.windows.firststart import FOLDER
from guestfix.formats.windows.inf import safe_name

KEYS = ("title", "switches", "arch", "windows")
SILENT_MSI = ("/qn", "/norestart")
_ODD = regex(r'["\x00-\x1f\x7f]')
_SPECIAL = regex(r"[ &|<>^()]")


@frozen
class Program:
    """A program of the payload: its path there, what it is called, and the switches with which it asks nobody.

    ``arch`` are the processors that it is for and ``windows`` the versions (``6.1``), any where there are none.
    """

    path: str
    title: str
    switches: tuple[str, ...]
    arch: tuple[str, ...]
    windows: tuple[str, ...]

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.rpartition("/")[2]


def stage_programs(bench: Workbench) -> None:
    """Put the payload's programs that fit the guest beside the script of the first start, which runs them once.

    Raises UsageError for an unreadable payload, PackError for a YAML beside a program with mistakes.
    """
    payload = open_payload(str(bench.facts.value(PAYLOAD_DIR)))
    found = list(programs(payload))
    arch, version = bench.facts.value(OS_ARCH, ""), str(bench.facts.value(OS_VERSION, ""))
    fitting = [one for one in found if _fits(one, arch, version)]
    if found and not fitting:
        text = f"the payload's programs are for other systems: {', '.join(one.name for one in found[:8])}"
        bench.find("GF-WINDOWS-PAYLOAD", "warning", text, *seen(bench, OS_ARCH, OS_VERSION))
    if fitting and not runs_at_first_start(bench):
        text = f"the first start is over, so that the payload's programs are not installed: {fitting[0].name}"
        bench.find("GF-WINDOWS-PAYLOAD", "warning", text, *seen(bench, OS_ARCH), remedy="install them in the guest")
    if not fitting or not runs_at_first_start(bench):
        return
    folder = f"{root_of(bench)}/{FOLDER}"
    for one in fitting:
        put_changed(bench, f"{folder}/programs/{one.name}", payload.read(one.path))
    put_changed(bench, f"{folder}/{PROGRAMS}", script_of(fitting))
    put_script(bench)
    with editing_system(bench) as (hive, controls):
        register(hive, controls)
    names = ", ".join(one.title for one in fitting)
    bench.follow_up(f"{names}: installed at the first start; exit codes and logs are in \\Windows\\{FOLDER}\\programs")


def programs(payload: Payload) -> Iterator[Program]:
    """Yield the programs of a payload that have a YAML beside them. Raises PackError for mistakes in one."""
    known = {name.lower(): name for name in payload.files}
    for path in payload.files:
        stem, dot, kind = path.rpartition(".")
        beside = next((known[one] for one in (f"{stem}.yaml".lower(), f"{stem}.yml".lower()) if one in known), None)
        if dot and kind.lower() in ("msi", "exe") and beside is not None and safe_name(path.rpartition("/")[2]):
            yield _read(payload, path, beside, kind.lower())


def _read(payload: Payload, path: str, beside: str, kind: str) -> Program:
    reader = read_description(payload, beside, "a program", KEYS)
    switches = reader.texts("switches")
    if kind == "exe" and not switches:
        reader.complain(reader.node.mark, "'switches' must say how an .exe installs without asking, such as [/S]")
    check_all(reader, "switches", lambda one: "it has quotes or control characters" if _ODD.search(one) else "")
    title = reader.text("title", "") or path.rpartition("/")[2]
    found = Program(path, title, switches or SILENT_MSI, reader.texts("arch"), reader.texts("windows"))
    check(reader)
    return found


def _fits(one: Program, arch: str, version: str) -> bool:
    by_version = not one.windows or any(version == part or version.startswith(f"{part}.") for part in one.windows)
    return by_version and (not one.arch or arch in one.arch)


def script_of(found: list[Program]) -> bytes:
    """Return the script that installs programs one after the other, and keeps each one's exit code."""
    lines = ["@echo off", "rem Written by guestfix: the payload's programs, each with its exit code."]
    for one in found:
        place = f"%~dp0programs\\{_escaped(one.name)}"
        switches = " ".join(_quoted(switch) for switch in one.switches)
        command = f'start "" /wait "{place}" {switches}'
        if one.name.lower().endswith(".msi"):
            installer = r"%SystemRoot%\System32\msiexec.exe"
            command = f'start "" /wait "{installer}" /i "{place}" {switches} /l*v "{place}.log"'
        lines += [f"echo %DATE% %TIME% {_escaped(one.name)}", command, f'>"{place}.exit" echo %ERRORLEVEL%']
        lines += [f'type "{place}.exit"']
    return "".join(f"{line}\r\n" for line in lines).encode("utf-8")


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def _quoted(switch: str) -> str:
    """Return a switch for the command line; of one such as ``NAME=some text`` only what follows the sign is quoted."""
    text = _escaped(switch)
    if not _SPECIAL.search(text):
        return text
    name, sign, value = text.partition("=")
    return f'{name}="{value}"' if sign and not _SPECIAL.search(name) else f'"{text}"'
