"""Registry texts that tests put into Windows guests."""

from __future__ import annotations

from tests.build.windows import hive

C = "ControlSet001"
SERVICES = rf"{C}\Services"


def service(name: str, start: int, kind: int = 1, more: str = "") -> str:
    return f'[{SERVICES}\\{name}]\n"Start"=dword:{start:08x}\n"Type"=dword:{kind:08x}\n{more}\n'


LOADER = "{11111111-0000-0000-0000-000000000001}"


def bcd(path: str = "\\\\Windows\\\\system32\\\\winload.exe", ems: bool = False, policy: int | None = None) -> bytes:
    text = f"""[Objects\\{{9dea862c-5cdd-4e70-acc1-f32b344d4795}}\\Elements\\23000003]
"Element"="{LOADER}"
[Objects\\{LOADER}\\Description]
"Type"=dword:10200003
[Objects\\{LOADER}\\Elements\\12000002]
"Element"="{path}"
"""
    if ems:
        text += f'[Objects\\{LOADER}\\Elements\\260000b0]\n"Element"=hex:01\n'
        text += '[Objects\\{0ce4991b-e6b3-4b16-b23c-5e0d9250e5d9}\\Elements\\16000020]\n"Element"=hex:01\n'
    if policy is not None:
        text += f'[Objects\\{LOADER}\\Elements\\250000e0]\n"Element"=hex:{policy:02x},00,00,00,00,00,00,00\n'
    return hive(text, "BCD")
