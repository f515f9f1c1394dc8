from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.base.edit import Content, Edit
from guestfix.base.errors import EditError, GuestfixError
from guestfix.editors import OPS, find_op, read_limit
from guestfix.editors.windows import registry
from guestfix.formats.windows.regf import Hive, empty_hive, regtext
from guestfix.formats.windows.regf.store import checksum

TEXT = r"""
[Select]
"Current"=dword:00000002
"Default"=dword:00000002
"LastKnownGood"=dword:00000001
"Failed"=dword:00000003
[ControlSet001\Services\viostor]
"Start"=dword:00000003
[ControlSet002\Services\viostor]
"Start"=dword:00000003
"Text"="a"
[ControlSet003\Services\viostor]
"Start"=dword:00000003
"""
SERVICE = r"CurrentControlSet\Services\viostor"
Op = Callable[[bytes | None], Content | Edit]


def made() -> bytes:
    hive = Hive.open(empty_hive("SYSTEM"))
    regtext.apply(hive, TEXT)
    return hive.to_bytes()


HIVE = made()


def op(op_name: str, /, **args: object) -> Op:
    return lambda src: find_op(op_name)(src, **args)


NOOP: list[Op] = [
    op("registry.set", key="Select", name="CURRENT", type="REG_DWORD", data="2"),
    op("registry.set", key=SERVICE, name="start", type="REG_DWORD", data="0x3"),
    op("registry.set", key="None\\Such", name="x", data="y", create=False),
    op("registry.set", key="ControlSet002\\Services\\viostor", name="Text", data="a"),
    op("registry.delete_value", key=SERVICE, name="None"),
    op("registry.delete_value", key="None", name="None"),
    op("registry.delete_key", key=SERVICE + "\\Parameters"),
    op("registry.merge", text='[Select]\n"Current"=dword:2\n"No"=-\n[-None]\n'),
]

CHANGES: list[tuple[Op, str]] = [
    (
        op("registry.set", key=SERVICE, name="Start", type="REG_DWORD", data="0"),
        r"""[ControlSet001\Services\viostor]
-"Start"=dword:00000003
+"Start"=dword:00000000
 [ControlSet002\Services\viostor]
-"Start"=dword:00000003
+"Start"=dword:00000000""",
    ),
    (
        op("registry.set", key="ControlSet003\\New", name="", type="REG_MULTI_SZ", items=["a", "b"]),
        '+[ControlSet003\\New]\n+@=str(7):"a\\0b"',
    ),
    (
        op("registry.set", key="Select", name="Bin", type="REG_BINARY", data="00 ff"),
        '[Select]\n+"Bin"=hex:00,ff',
    ),
    (op("registry.delete_value", key=SERVICE, name="text"), '[ControlSet002\\Services\\viostor]\n-"Text"="a"'),
    (
        op("registry.delete_key", key=SERVICE),
        r"""-[ControlSet001\Services\viostor]
-"Start"=dword:00000003
-[ControlSet002\Services\viostor]
-"Start"=dword:00000003
-"Text"="a\"""".replace('\\"', '"'),
    ),
    (
        op("registry.merge", text="[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\viostor\\Parameters]\n"),
        "+[ControlSet001\\Services\\viostor\\Parameters]\n+[ControlSet002\\Services\\viostor\\Parameters]",
    ),
]


@pytest.mark.parametrize("index", range(len(NOOP)))
def test_nothing_to_do_gives_the_same_object(index: int) -> None:
    assert NOOP[index](HIVE) is HIVE


@pytest.mark.parametrize(("edit", "diff"), CHANGES, ids=range(len(CHANGES)))
def test_changes(edit: Op, diff: str) -> None:
    result = edit(HIVE)
    assert isinstance(result, Edit) and isinstance(result.content, bytes)
    assert result.diff.strip() == diff.strip()
    assert edit(result.content) is result.content  # idempotent


@pytest.mark.parametrize("index", range(len(NOOP)))
def test_no_hive_stays_no_hive(index: int) -> None:
    assert NOOP[index](None) is None


@pytest.mark.parametrize(
    "args",
    [
        {"key": "K", "name": "a", "type": "DWORD", "data": "1"},
        {"key": "K", "name": "a", "type": "REG_DWORD", "data": "x"},
        {"key": "K", "name": "a", "type": "REG_DWORD", "data": "0x100000000"},
        {"key": "K", "name": "a", "type": "REG_BINARY", "data": "0g"},
        {"key": "a\\\\b", "name": "a", "data": "x"},
        {"key": "x" * 300, "name": "a", "data": "x"},
    ],
)
def test_what_can_not_be_stored_is_refused(args: dict[str, str]) -> None:
    with pytest.raises(EditError):
        find_op("registry.set")(HIVE, **args)


def test_text_that_is_not_understood_is_refused() -> None:
    with pytest.raises(EditError, match="can't be understood"):
        registry.merge(HIVE, text='[K]\n"a"=what')


def test_dirty_hives_are_refused() -> None:
    data = bytearray(HIVE)
    struct.pack_into("<I", data, 4, 99)
    struct.pack_into("<I", data, 508, checksum(data))
    with pytest.raises(EditError, match="last write was not finished"):
        registry.set_value(bytes(data), key="K", name="a", data="x")
    for damaged in (b"", b"regf", HIVE[:5000], b"x" * 8192):
        with pytest.raises(EditError):
            registry.set_value(damaged, key="K", name="a", data="x")


def test_without_select_every_control_set_counts() -> None:
    hive = Hive.open(HIVE)
    hive.delete_key("Select")
    result = registry.delete_key(hive.to_bytes(), key=SERVICE)
    assert isinstance(result, Edit) and result.diff.count("-[ControlSet00") == 3


def test_ops_are_registered() -> None:
    assert {name for name in OPS if name.startswith("registry.")} == {
        *("registry.set", "registry.merge", "registry.delete_key", "registry.delete_value")
    }


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1024, len(HIVE) // 4 - 1), st.integers(0, 0xFFFFFFFF)), max_size=6),
    st.integers(0, len(CHANGES) - 1),
)
def test_damaged_hives_are_changed_rightly_or_refused(patches: list[tuple[int, int]], index: int) -> None:
    data = bytearray(HIVE)
    for at, word in patches:
        struct.pack_into("<I", data, at * 4, word)
    try:
        result = CHANGES[index][0](bytes(data))
    except GuestfixError as error:
        assert isinstance(error, EditError)
        return
    content = result.content if isinstance(result, Edit) else result
    assert isinstance(content, bytes)
    changed = [at for at in range(0, len(data), 4) if data[at : at + 4] != content[at : at + 4]]
    assert len(changed) < 400


def test_hives_may_be_larger_than_other_files() -> None:
    assert read_limit("registry.set") >= 128 * 2**20 > read_limit("fstab.set_device")


@pytest.mark.parametrize(
    "edit",
    [
        op("registry.delete_key", key="CurrentControlSet\\Services\\vmgid"),
        op("registry.delete_key", key="controlset001\\services\\VMGID"),
        op("registry.delete_key", key="CurrentControlSet\\Services"),
        op("registry.delete_key", key="ControlSet001"),
        op("registry.delete_value", key="CurrentControlSet\\Services\\vmgid", name="ImagePath"),
        op("registry.set", key="CurrentControlSet\\Services\\vmgid", name="start", type="REG_DWORD", data="4"),
        op("registry.merge", text="[-CurrentControlSet\\Services\\vmgid]\n"),
        op("registry.merge", text='[ControlSet001\\Services\\vmgid]\n"Start"=dword:4\n'),
        op("registry.merge", text='[ControlSet001\\Services\\vmgid]\n"Start"=-\n'),
    ],
)
def test_a_driver_of_windows_itself_is_never_taken_away(edit: Op) -> None:
    with pytest.raises(EditError, match="never"):
        edit(made_with_vmgid())


@pytest.mark.parametrize(
    "edit",
    [
        op("registry.delete_key", key="CurrentControlSet\\Services\\vmgid\\Parameters"),
        op("registry.delete_key", key="CurrentControlSet\\Services\\other"),
        op("registry.delete_key", key="CurrentControlSet\\Control\\vmgid"),
        op("registry.delete_value", key="CurrentControlSet\\Services\\vmgid", name="Note"),
        op("registry.set", key="CurrentControlSet\\Services\\vmgid", name="Start", type="REG_DWORD", data="0"),
        op("registry.set", key="CurrentControlSet\\Services\\other", name="Start", type="REG_DWORD", data="4"),
    ],
)
def test_what_else_there_is_may_be_changed(edit: Op) -> None:
    assert isinstance(edit(made_with_vmgid()), Edit)


def made_with_vmgid() -> bytes:
    hive = Hive.open(HIVE)
    for control in ("ControlSet001", "ControlSet002"):
        for name in ("vmgid", "other"):
            text = f'[{control}\\Services\\{name}]\n"Type"=dword:1\n"Start"=dword:3\n"Note"="n"\n'
            regtext.apply(hive, f"{text}[{control}\\Services\\{name}\\Parameters]\n[{control}\\Control\\{name}]\n")
    return hive.to_bytes()
