r"""What happens at a Windows' first start, once: drivers and programs of the payload are installed by a service."""

from __future__ import annotations

from collections.abc import Sequence

from guestfix.actions.windows.registry import root_of
from guestfix.actions.workbench import Workbench
from guestfix.formats.windows.firststart import FOLDER, LOG, MARKER
from guestfix.formats.windows.regf import REG_DWORD, REG_EXPAND_SZ, REG_SZ, Hive
from guestfix.formats.windows.services import AUTO

SERVICE = "guestfix-firstboot"
PROGRAMS = "programs.cmd"
OWN_PROCESS = 0x10

SCRIPT = r"""@echo off
rem Written by guestfix. Installs the drivers and programs beside this file at the first start, once.
setlocal
set HERE=%~dp0
if exist "%HERE%{marker}" exit /b 0
echo started %DATE% %TIME%>"%HERE%{marker}"
sc config {service} start= disabled >>"%HERE%{log}" 2>&1
if not exist "%SystemRoot%\System32\pnputil.exe" goto programs
for /d %%D in ("%HERE%drivers\*") do for %%I in ("%%D\*.inf") do pnputil -i -a "%%I" >>"%HERE%{log}" 2>&1
:programs
if exist "%HERE%{programs}" call "%HERE%{programs}" >>"%HERE%{log}" 2>&1
sc delete {service} >>"%HERE%{log}" 2>&1
echo finished %DATE% %TIME%>>"%HERE%{marker}"
"""
"""The marker is written before anything else: whatever happens, there is no second run and no loop."""


def runs_at_first_start(bench: Workbench) -> bool:
    """Tell whether the first start is still to come."""
    return bench.fs.stat(f"{root_of(bench)}/{FOLDER}/{MARKER}") is None


def put_script(bench: Workbench) -> None:
    """Put the script that the service runs, unless it is there."""
    script = (
        SCRIPT.format(marker=MARKER, log=LOG, service=SERVICE, programs=PROGRAMS).replace("\n", "\r\n").encode("ascii")
    )
    put_changed(bench, f"{root_of(bench)}/{FOLDER}/firstboot.cmd", script)


def put_changed(bench: Workbench, path: str, data: bytes) -> None:
    """Put a file unless it holds just this."""
    if bench.fs.stat(path) is None or bench.fs.read(path) != data:
        bench.fs.put(path, data)


def register(hive: Hive, controls: Sequence[str]) -> None:
    """Register the service in these control sets.

    cmd starts the script on its own, since a script can't answer the service manager.
    """
    shell = r"%SystemRoot%\System32\cmd.exe"
    command = rf'{shell} /c start "" /b {shell} /c "%SystemRoot%\{FOLDER}\firstboot.cmd"'
    values = (
        ("Type", REG_DWORD, OWN_PROCESS),
        ("Start", REG_DWORD, AUTO),
        ("ErrorControl", REG_DWORD, 0),
        ("ImagePath", REG_EXPAND_SZ, command),
        ("DisplayName", REG_SZ, "guestfix: install drivers once"),
        ("ObjectName", REG_SZ, "LocalSystem"),
    )
    for control in controls:
        for name, kind, data in values:
            hive.set_value(rf"{control}\Services\{SERVICE}", name, kind, data)
