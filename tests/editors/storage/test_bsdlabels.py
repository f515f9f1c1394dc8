"""The fstab of a BSD: device names become labels where one is known, and nothing else is touched."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from guestfix.base.edit import Edit
from guestfix.editors.storage.bsdlabels import set_label, set_label_in

TABLE = {"/dev/da0p2": "/dev/gpt/rootfs", "/dev/da0p3": "/dev/gpt/swap0"}


def after(src: bytes) -> bytes:
    done = set_label(src, table=TABLE)
    content = done.content if isinstance(done, Edit) else done
    assert isinstance(content, bytes)
    return content


def test_names_with_a_label_are_changed_in_their_field_alone() -> None:
    src = b"# Device\n/dev/da0p2\t/ \tufs rw 1 1 # root\n/dev/da0p3 none swap sw 0 0\n/dev/da1p1 /x ufs rw 2 2\n"
    src += b"proc /proc procfs rw 0 0\n"
    assert after(src) == src.replace(b"/dev/da0p2", b"/dev/gpt/rootfs").replace(b"/dev/da0p3", b"/dev/gpt/swap0")


def test_no_file_and_no_table() -> None:
    assert set_label(None, table=TABLE) is None
    assert set_label(b"/dev/da0p2 / ufs rw 1 1\n", table={}) == b"/dev/da0p2 / ufs rw 1 1\n"


LINE = st.sampled_from(
    [b"/dev/da0p2 / ufs rw 1 1", b"/dev/da0p3 none swap sw", b"#x", b"\xff\x00", b"", b"/dev/da9p1 /y ufs"]
)


@given(st.lists(LINE, max_size=6))
def test_a_second_time_changes_nothing(lines: list[bytes]) -> None:
    src = b"\n".join(lines)
    once = after(src)
    assert after(once) == once and once.count(b"\n") == src.count(b"\n")


def test_a_swap_area_keeps_its_layer_of_encryption_and_no_filesystem_gets_one() -> None:
    src = b"/dev/da0p3.eli none swap sw 0 0\n/dev/da0p2.eli / ufs rw 1 1\n"
    assert after(src) == src.replace(b"/dev/da0p3.eli", b"/dev/gpt/swap0.eli")


def test_settings_name_whole_devices_outside_of_comments() -> None:
    src = (
        b'a="ufs:/dev/da0p2" # /dev/da0p2\n#/dev/da0p3\ndumpdev=/dev/da0p3\nx=/dev/da0p21 /x/dev/da0p2 /dev/da0p2.eli\n'
    )
    want = src.replace(b'ufs:/dev/da0p2"', b'ufs:/dev/gpt/rootfs"').replace(b"=/dev/da0p3", b"=/dev/gpt/swap0")
    assert set_label_in(src, table=TABLE) == want
    assert set_label_in(want, table=TABLE) == want
    assert set_label_in(None, table=TABLE) is None and set_label_in(src, table={}) == src


@given(st.binary(max_size=60).map(lambda more: b"a=/dev/da0p2\n" + more))
def test_any_bytes_of_settings_keep_what_is_not_named(src: bytes) -> None:
    done = set_label_in(src, table=TABLE)
    assert isinstance(done, bytes) and done.startswith(b"a=/dev/gpt/rootfs")
    assert set_label_in(done, table=TABLE) == done
