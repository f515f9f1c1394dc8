"""Point 4: what holds for every editor, whatever the file: its last newline, its line endings, open quotes, twins."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import guestfix
from guestfix.base.edit import Content
from guestfix.base.errors import EditError
from guestfix.editors import OPS, find_op
from guestfix.editors.boot import args as bootargs
from guestfix.editors.network import keyfile, netplan, networkd
from guestfix.formats import shellvars
from guestfix.formats.boot import argplaces, bls, grubenv, grublegacy, syslinux
from guestfix.formats.network import interfaces
from guestfix.formats.network.netplan import merge as read_netplan
from tests.hostile.editing import CALLS, MISSING, Call, check_last_newline, content, result, unix

ROOT = Path(guestfix.__file__).parent
TEXT = [one for one in CALLS if one.text]


def crlf(data: Content) -> Content:
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") if isinstance(data, bytes) else data


def test_every_operation_is_in_the_table() -> None:
    assert MISSING == []
    assert {one.name.partition("(")[0] for one in CALLS if not one.text} & set(OPS) == {
        *("bootmenu.env_show_menu", "file.create", "file.delete", "file.link"),
        *(name for name in OPS if name.startswith("registry.")),
    }


@pytest.mark.parametrize("call", CALLS, ids=lambda one: one.name)
def test_the_samples_are_changed(call: Call) -> None:
    assert any(result(call, src)[0] != src for src in call.samples)


@pytest.mark.parametrize("call", TEXT, ids=lambda one: one.name)
def test_last_newline(call: Call) -> None:
    for src in call.samples:
        check_last_newline(call, src)
        dos = crlf(src)
        assert isinstance(dos, bytes)
        check_last_newline(call, dos)
        lines = src.splitlines(keepends=True)
        for count in range(1, len(lines)):  # every line as the last one
            check_last_newline(call, b"".join(lines[:count]))


@pytest.mark.parametrize("call", TEXT, ids=lambda one: one.name)
def test_line_endings_stay(call: Call) -> None:
    """A file with CR LF becomes what the same file with LF becomes, with CR LF."""
    for src in call.samples:
        one, other = unix(src), crlf(src)
        assert isinstance(one, bytes) and isinstance(other, bytes)
        assert result(call, other)[0] == crlf(result(call, one)[0])


def _block(*lines: bytes) -> bytes:
    body = grubenv.SIGNATURE + b"".join(line + b"\n" for line in lines)
    return body + b"#" * (grubenv.SIZE - len(body))


def test_a_variable_twice_in_a_grubenv() -> None:
    """GRUB's load_env sets them in order, so the last one counts."""
    src = _block(b"a=1", b"kernelopts=one ro", b"a=2", b"kernelopts=two")
    after = grubenv.set_value(src, "a", "new")
    assert after == _block(b"a=1", b"kernelopts=one ro", b"a=new", b"kernelopts=two")
    assert grubenv.set_value(src, "a", "2") is src
    assert grubenv.read(grubenv.unset(src, "a")) == {"kernelopts": "two"}
    changed = argplaces.rewrite(src, "grubenv", bootargs.ensure(["quiet"]))
    assert grubenv.read(changed)["kernelopts"] == "two quiet"
    assert b"kernelopts=one ro\n" in changed


@pytest.mark.parametrize(
    "src",
    [
        b"A=1\nA=2\n",
        b"A=1; A=2\n",
        b"A=1 A=2\n",
        b"A=2\nA+=3\n",
        b"export A=1\nA=2 # A=3\n",
        b"true 'A=9\n'\nA=1\n",
        b"A=1\ncat <<EOF >/dev/null\nA=3\nEOF\n",
        b"A=1\ncat <<-'EOF' >/dev/null\nA=3 '\n\tEOF\n",
        b"A='x\nA=3\n'\n",
        b"B=$((1<<2))\nA=1\n",
        b'A="$(echo "\n")"\n',
        b"# don't\nA=1\n",
        b"B=a#b'c'\n",
    ],
)
def test_an_assignment_twice_in_a_shell_file(src: bytes, tmp_path: Path) -> None:
    """What is set is what a shell then has, wherever the name stands."""
    after = shellvars.set_value(src, "A", "new")
    (tmp_path / "file").write_bytes(after)
    shell = subprocess.run(["bash", "-c", '. ./file; printf %s "$A"'], cwd=tmp_path, capture_output=True, check=True)
    assert shell.stdout == b"new"
    assert shellvars.set_value(after, "A", "new") is after
    (tmp_path / "file").write_bytes(shellvars.unset(after, "A"))
    shell = subprocess.run(["bash", "-c", '. ./file; printf %s "$A"'], cwd=tmp_path, capture_output=True, check=True)
    assert shell.stdout == b""


def test_a_variable_that_never_ends_in_a_grubenv() -> None:
    """GRUB takes the newline behind a backslash for the value's: what is added there would be the value's too."""
    src = _block(b"a=1", b"kernelopts=\\")
    with pytest.raises(EditError, match="ends in a backslash"):
        grubenv.set_value(src, "x", "2")
    assert grubenv.read(grubenv.set_value(src, "a", "2")) == {"a": "2"}
    closed = _block(b"kernelopts=\\", b"x=1", b"a=1")
    assert grubenv.read(grubenv.set_value(closed, "x", "2")) == {"kernelopts": "\nx=1", "a": "1", "x": "2"}


@pytest.mark.parametrize(
    "src", [b"\\\n", b"a\\\n", b"auto eth0\\\n", b"iface eth0 inet static\\\n", b"iface eth0 inet\\\r\n"]
)
def test_a_backslash_on_the_last_line_of_interfaces(src: bytes) -> None:
    """It joins nothing, with a newline behind it or without."""
    for call in TEXT:
        if call.name.startswith("interfaces."):
            check_last_newline(call, src)
    one, other = interfaces.parse(src), interfaces.parse(src.rstrip())
    assert [(line.keyword, line.value, line.folded) for line in one.misplaced] == [
        (line.keyword, line.value, line.folded) for line in other.misplaced
    ]
    assert [(stanza.keyword, stanza.words) for stanza in one.stanzas] == [
        (stanza.keyword, stanza.words) for stanza in other.stanzas
    ]
    assert b"\\" not in b"".join(word.encode() for stanza in one.stanzas for word in stanza.words)


BLOCKS = [
    b"if true; then\n  A=1\nfi\n",
    b"A=0\nif false; then\n  A=1\nfi\n",
    b"A=0\nif false\nthen A=1\nelse :; fi\n",
    b"f() {\n  A=1\n}\n",
    b"A=0\nfunction f\n{\n  A=1\n}\n",
    b"A=0\nfunction f {\n  A=1\n}\n",
    b"A=0\n(\n  A=1\n)\n",
    b"A=0\n{\n  A=1\n} | cat\n",
    b"A=0\ncase $B in\n  x)\n  A=1\n  ;;\n  (y|z)\n  A=2\n  ;;\nesac\n",
    b"A=0\nfor i in if case; do\n  A=1\ndone\n",
    b"A=0\nwhile false; do\n  until true; do\n  A=1\n  done\ndone\n",
    b"A=0\nunset A\n",
    b"A=0; unset A\n",
    b"A=0\nunset -v B A # why\n",
    b"A=0\ntrue && A=1\n",
    b"A=0\nif true; then A=1; fi\n",
    b"A=0\n[ -z x ] || unset A\n",
    b"A=0\nread A <<EOF\n1\nEOF\n",
    b"A=0\neval 'A=1'\n",
    b"A=0\nprintf -v A %s 1\n",
    b"A=0\ndeclare -g A=1\n",
    b"A=0\nfor A in 1 2; do :; done\n",
    b"A=0\nA=1 true\n",
    b"A=0\nA=1 | cat\n",
    b"A=0\nA=1 &\nwait\n",
    b"A=0\nA=1 \\\n true\n",
    b"A=0\nB=$(\n  A=1\n)\n",
    b"A=0\nf() { A=1; }\nf\n",
]
"""Files in which what a shell ends up with is not what the last line that says ``A=`` says."""


@pytest.mark.parametrize("src", BLOCKS)
def test_an_assignment_that_may_not_count(src: bytes, tmp_path: Path) -> None:
    """It is overruled at the end of the file, and nobody takes its value for the one that counts."""
    read = shellvars.find(src, "A")
    assert read is None or read.dynamic
    for after in (shellvars.set_value(src, "A", "new"), shellvars.set_value(src, "A", "1")):
        assert after == src + after[len(src) :] and after.count(b"\n") == src.count(b"\n") + 1
        (tmp_path / "file").write_bytes(after)
        shell = subprocess.run(
            ["bash", "-c", '. ./file; printf %s "$A"'], cwd=tmp_path, capture_output=True, check=True
        )
        found = shellvars.find(after, "A")
        assert found is not None and found.sure and shell.stdout.decode() == found.value
        assert shellvars.set_value(after, "A", found.value) is after


@pytest.mark.parametrize(
    "src", [*BLOCKS, b"if true; then\n  A=1\nfi\n", b"A=1; if true; then\n:\nfi\n", b"A=$(\necho\n)\n"]
)
def test_what_goes_leaves_a_block_whole(src: bytes) -> None:
    """A block without a command is a syntax error, for which a shell gives up the file."""
    for after in (shellvars.unset(src, "A"), shellvars.drop(src, shellvars.settled(src), b"#")):
        assert subprocess.run(["bash", "-n"], input=after, capture_output=True, check=True).stderr == b""


@pytest.mark.parametrize(
    ("src", "after"),
    [
        (b'V="a"\nif x; then\n  V="b"\nfi\n', b'V="a q"\nif x; then\n  V="b q"\nfi\n'),
        (b'V="a"\nif x; then\n  V="$V b"\nfi\n', b'V="a q"\nif x; then\n  V="$V b"\nfi\n'),
        (b'V="a"\nif x; then\n  V+=" b"\nfi\n', b'V="a q"\nif x; then\n  V+=" b"\nfi\n'),
        (b'if x; then\n  V="b"\nfi\nV="a"\n', b'if x; then\n  V="b"\nfi\nV="a q"\n'),
    ],
)
def test_arguments_are_added_in_every_branch(src: bytes, after: bytes) -> None:
    src, after = (one.replace(b"V", b"GRUB_CMDLINE_LINUX") for one in (src, after))
    assert argplaces.rewrite(src, "default", bootargs.ensure(["q"])) == after
    assert argplaces.rewrite(after, "default", bootargs.ensure(["q"])) is after


@pytest.mark.parametrize("src", [b"linux \\\n", b"menuentry a {\n linux \\\n}\n", b'linux ""\n'])
def test_a_command_that_names_no_kernel_gets_no_arguments(src: bytes) -> None:
    assert argplaces.rewrite(src, "grubcfg", bootargs.ensure(["q"])) is src


@pytest.mark.parametrize("body", [b"if x; then\n  V\nfi\n", b"f() {\n  V\n}\n", b"V\nunset W\n"])
def test_what_may_not_count_is_left_alone(body: bytes) -> None:
    """Where an operation only changes what is there and nobody can tell whether it counts, nothing is changed."""
    for name, value, args in (
        ("GRUB_TIMEOUT", b"0", {"seconds": 5, "longest": 9, "recordfail": 5}),
        ("GRUB_DEFAULT", b"3", {}),
        ("MODULES", b"(a)", {"modules": ["virtio_blk"]}),
        ("MODULES", b"a", {"modules": ["virtio_blk"]}),
        ("INITRD_MODULES", b"a", {"modules": ["virtio_blk"]}),
    ):
        op = {
            "GRUB_TIMEOUT": "grubdefault.set_timeout",
            "GRUB_DEFAULT": "grubdefault.set_default",
            "MODULES": "mkinitcpio.add_modules",
            "INITRD_MODULES": "sysconfig_kernel.add_modules",
        }[name]
        src = body.replace(b"V", name.encode() + b"=" + value).replace(b"W", name.encode())
        assert content(find_op(op)(src, **args)) is src, (name, value)


@pytest.mark.parametrize("src", [b"A=1\nif true; then\n", b"B=1\nf() {\n", b"(\n", b"case x in\ny) B=1;;\n", b"if\\\n"])
def test_nothing_is_added_inside_an_open_block(src: bytes) -> None:
    with pytest.raises(EditError, match="never closed") as caught:
        shellvars.set_value(src, "X", "new")
    assert caught.value.where == f"line {1 if src[:2] not in (b'A=', b'B=') else 2}"


@pytest.mark.parametrize(
    "src",
    [
        b"# if A is set {\nA=1\n",
        b"A=1\n# unset A\n",
        b'A=1\necho "$A" ${A}\nexport A\n',
        b"A=1 # unset A (if\n",
        b"if true; then B=1; fi\nA=1\n",
        b"f() { B=1; }\n[ -n x ] && f\nA=1\n",
        b"B=`if true; then echo; fi`\nA=1\n",
        b"case x in x) B=1;; esac; C=2\nA=1;\n",
        b'B="if {"\necho if { "("\nA=1\r\n',
        b"A=1 && true\n",
        b"B=(if { x)\nA=1\n",
        b"for A in 1; do :; done\nA=1\n",
    ],
)
def test_an_assignment_that_counts_is_changed_in_place(src: bytes) -> None:
    assert shellvars.set_value(src, "A", "2") == src.replace(b"A=1", b"A=2")


@pytest.mark.parametrize(
    "opened", [b'B="x\n', b"echo it's\n", b"B=(a b\n", b"cat <<EOF\n", b"A=1 'x\n", b"B='\\''x'y'\n"]
)
@pytest.mark.parametrize("above", [b"", b"X=1\n\n"])
@pytest.mark.parametrize("rest", [b"", b"GRUB_TIMEOUT=0\nSTARTMODE=auto\n"])
def test_nothing_is_set_inside_an_open_quote(opened: bytes, above: bytes, rest: bytes) -> None:
    src = above + opened + rest
    line = "line 3" if above else "line 1"
    adding: list[Callable[[], object]] = [
        lambda: shellvars.set_value(src, "A", "new"),
        lambda: find_op("dracut.add_drivers")(src, modules=["virtio_blk"]),
        lambda: find_op("mkinitcpio.add_modules")(src, modules=["virtio_blk"]),
        lambda: find_op("sysconfig_kernel.add_modules")(src, modules=["virtio_blk"]),
        lambda: find_op("ifcfg.dhcp")(src),
    ]
    if rest:
        adding.append(lambda: find_op("grubdefault.set_timeout")(src, seconds=5, longest=9, recordfail=5))
        adding.append(lambda: find_op("ifcfg.optional")(src))
    for add in adding:
        with pytest.raises(EditError, match="never closed") as caught:
            add()
        assert caught.value.where == line
    assert shellvars.unset(src, "GRUB_TIMEOUT") is src  # what a shell takes for quoted text is left alone
    for form in ("default", "bootloader", "dracut"):
        assert argplaces.rewrite(src, form, bootargs.remove(["ro"])) is src


def test_a_command_with_an_open_quote_is_quoted_from_its_start() -> None:
    src = b"X=1\necho 'a\nA=1\n' \"\nA=2\n"
    assert [one.name for one in shellvars.settled(src)] == ["X"]
    assert shellvars.unset(src, "A") is src


def test_an_assignment_above_an_open_quote_can_be_set() -> None:
    assert shellvars.set_value(b"A=1\necho it's\n", "A", "2") == b"A=2\necho it's\n"


@pytest.mark.parametrize(
    "src",
    [
        b"[ipv4]\nmethod=manual\nmethod=manual\n",
        b"[ipv4]\nmethod=auto\n[ipv4]\nmethod=manual\n",
        b"[ipv4]\nmethod=manual\n[ipv6]\nmethod=ignore\n[ipv4]\naddress1=192.0.2.2\n",
    ],
)
def test_a_key_twice_in_a_keyfile(src: bytes) -> None:
    """GKeyFile merges groups of one name and takes the last value, as Python's reader does when told to."""
    after = keyfile.dhcp(src)
    assert after is not None
    seen = _merged(after, "ipv4")
    assert seen["method"] == "auto" and "address1" not in seen


def _merged(src: bytes, wanted: str) -> dict[str, str]:
    group, found = "", {}
    for line in src.decode().splitlines():
        if line.startswith("["):
            group = line[1:-1]
        elif "=" in line and group == wanted:
            found.update([line.split("=", 1)])
    return found


@pytest.mark.parametrize(
    "src", [b"[Network]\nDHCP=yes\nDHCP=no\n", b"[Network]\nDHCP=no\n\n[Network]\nAddress=192.0.2.2/24\n"]
)
def test_a_section_twice_in_a_network_file(src: bytes) -> None:
    after = networkd.dhcp(src)
    assert after is not None
    assert _merged(after, "Network") == {"DHCP": "yes"}


@pytest.mark.parametrize(
    "src",
    [
        b"network:\n  ethernets:\n    eth0: {addresses: [192.0.2.2/24]}\n    eth0: {dhcp4: no}\n",
        b"network:\n  ethernets:\n    eth0: {dhcp4: no, dhcp4: no}\n",
        b"network:\n  ethernets: {}\n  ethernets:\n    eth0: {addresses: [192.0.2.2/24]}\n",
        b"network: {}\nnetwork:\n  ethernets:\n    eth0: {addresses: [192.0.2.2/24]}\n",
    ],
)
def test_a_key_twice_in_netplan(src: bytes) -> None:
    """netplan takes both, so neither is changed alone; the reader sees both."""
    with pytest.raises(EditError, match="twice") as caught:
        netplan.dhcp(src, name="eth0")
    assert caught.value.where.startswith("line ")
    assert [one.id for one in read_netplan([("/etc/netplan/a.yaml", src)]).nics()] == ["eth0"]
    addresses = [one for nic in read_netplan([("/etc/netplan/a.yaml", src)]).nics() for one in nic.addresses]
    assert addresses == (["192.0.2.2/24"] if b"192" in src else [])


def test_a_command_twice_in_grub_legacy() -> None:
    """GRUB runs every command of an entry; what was loaded last boots."""
    src = b"title a\nkernel /one root=/dev/sda1\nkernel /two root=/dev/sda1 ro\ninitrd /i1\ninitrd /i2\n"
    stanza = grublegacy.parse(src).stanzas[0]
    kernel = grublegacy.kernel_of(stanza)
    assert kernel is not None and kernel[0] == "/two" and grublegacy.initrds_of(stanza) == ["/i2"]
    after = argplaces.rewrite(src, "menu", bootargs.ensure(["quiet"]))
    assert after == src.replace(b"sda1 ro", b"sda1 ro quiet")


@pytest.mark.parametrize("tail", [b"=", b"'", b'"', b"/=", b"/a=b", b"\xff="])
def test_an_argument_is_not_glued_to_a_kernel(tail: bytes) -> None:
    src = b"title \nkernel /" + tail
    after = argplaces.rewrite(src, "menu", bootargs.ensure(["quiet"]))
    assert after == src + b" quiet"
    for form in ("syslinux", "bls", "grubcfg"):
        given = {
            "syslinux": b"LABEL a\nAPPEND " + tail,
            "bls": b"linux /" + tail + b"\noptions " + tail,
            "grubcfg": b"linux /" + tail.replace(b"'", b"").replace(b'"', b"") + b"\n",
        }[form]
        changed = argplaces.rewrite(given, form, bootargs.ensure(["quiet"]))
        assert changed is given or changed.rstrip().endswith(b" quiet")


def test_the_first_of_two_lines_in_a_bls_entry_counts_for_grub() -> None:
    entry = bls.parse(b"linux /one\noptions a\noptions b\nlinux /two\n")
    assert (entry.get("linux", grub=True), bls.options(entry, {}, grub=True)) == ("/one", ["a"])
    assert (entry.get("linux"), bls.options(entry, {})) == ("/two", ["a", "b"])


def test_the_last_of_two_lines_in_an_extlinux_label_counts() -> None:
    label = syslinux.parse(b"LABEL a\nKERNEL /k\nINITRD /one\nINITRD /two\nAPPEND x\nAPPEND y\n")
    assert syslinux.arguments(label, label.labels[0]) == (["y"], ["/two"])


def test_lines_are_added_by_one_helper() -> None:
    """An editor that glues a newline to a file itself would forget the file that has none: only edit.py does it."""
    paths = [path for room in ("editors", "formats", "actions") for path in (ROOT / room).rglob("*.py")]
    assert len(paths) > 100
    for path in paths:
        text = path.read_text()
        assert 'endswith(b"\\n")' not in text and "newline_of" not in text, path
