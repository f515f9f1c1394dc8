"""What every grammar written with pyparsing must hold to, whatever a guest's file holds."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.base.errors import GuestfixError
from guestfix.editors.storage import assembly
from guestfix.formats import udevrules
from guestfix.formats.network import devicelist, iptables, nftables
from guestfix.formats.storage import lvmconf, lvmgrammar, mdadmconf, multipath
from guestfix.formats.windows import inf

ROOT = Path(__file__).resolve().parents[2]
READERS: dict[str, Callable[[bytes], object]] = {
    "lvm.conf": lvmconf.read,
    "lvm.conf by its grammar": lvmgrammar.read,
    "multipath.conf": multipath.read,
    "mdadm.conf": mdadmconf.read,
    "udev rules": udevrules.read,
    "nft": lambda src: nftables.judge(b"table ip t { chain i { type filter hook input priority 0; " + src, 22),
    "iptables": lambda src: iptables.judge(b"*filter\n:INPUT DROP\n-A INPUT " + src, 22),
    "device list": lambda src: devicelist.matches(devicelist.parse(src.decode("latin-1")), devicelist.Device("eth0")),
    "INF": lambda src: inf.parse(b"[a]\n" + src),
}
PARTS = [
    b"a", b" ", b"\n", b"\t", b"=", b"{", b"}", b"[", b"]", b",", b'"', b"'", b"\\", b"#", b"!", b"*", b":", b";",
    b"==", b"except:", b"ARRAY", b"devices", b"\xff", b"\0", b"1", b".5", b"+=", b'NAME="x"', b"\\\n", b"\r\n",
    "\u00e9".encode(),
]  # fmt: skip
texts = st.lists(st.sampled_from(PARTS), max_size=60).map(b"".join) | st.binary(max_size=200)


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=100, deadline=None)
@given(src=texts)
def test_any_bytes_end_in_our_errors(name: str, src: bytes) -> None:
    """And what was read is the same after more lines that are none."""
    first = READERS[name](src)
    if name in ("multipath.conf", "mdadm.conf") and src[-1:] == b"\n":
        assert READERS[name](src + b"# a comment\n") == first


HOSTILE = {
    "an open list": b"a = [ " + b'"x", ' * 60_000,
    "many open lists": b'a = [ "x",\n' * 40_000,
    "an open string": b'a = "' + b"x" * 500_000,
    "open strings": b'a = "x\n' * 60_000,
    "backslashes": b'NAME="' + b"\\" * 500_000,
    "deep sections": b"a {\n" * 100_000,
    "one line": b"a " * 250_000,
    "stars": b"interface-name:" + b"*a" * 4_000,
    "commas": b"," * 500_000,
    "comments": b"#\n" * 250_000,
    "lines that continue": b"ARRAY x\n" + b" y\n" * 150_000,
    "distinct rules": b"".join(b"\n-A INPUT -s 10.0.0.1 -m x --y %d -j ACCEPT" % number for number in range(6_000)),
    "tables": b"table t { chain c { " * 12_000,
    "braces": b"x " + b"{" * 250_000,
    "nested braces": b"x " + b"{ {" * 40 + b"a" * 200_000,
    "closed braces": b"x { a { b { c } } } " * 12_000,
    "chains": b"chain a { }\n" * 20_000,
    "open quotes": b'"a ' * 80_000,
    "options": b" -p tcp ! --x" * 300 + b"\n-A INPUT" + b" -p" * 80_000,
    "rules that continue": b'NAME="x", \\\n' * 40_000,
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_are_bounded(name: str, kind: str) -> None:
    begun = time.process_time()
    try:
        READERS[name](HOSTILE[kind])
    except GuestfixError as error:
        assert "more than" in str(error)
    assert time.process_time() - begun < 10


def test_pyparsing_is_loaded_for_such_a_file_alone() -> None:
    """Detection imports what reads NICs' names, NetworkManager's settings and storage, and no grammar with it.

    Nor does what installs a driver package.
    """
    code = """
import sys, guestfix.detect.network.stacks, guestfix.detect.network.state
from guestfix.formats.network import keyfile, udevnet
keyfile.no_auto_default([b"[main]\\nno-auto-default=*\\n"])
udevnet.name_rules(b'# none\\nKERNEL=="sda"\\n')
assert "pyparsing" not in sys.modules
plain = b'SUBSYSTEM=="net", ATTR{address}=="00:50:56:aa:bb:cc", NAME="eth0"'
assert udevnet.name_rules(plain)
assert "pyparsing" not in sys.modules
assert udevnet.name_rules(plain.replace(b", ", b" "))[0].mac == "00:50:56:aa:bb:cc"
assert "pyparsing" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    code = """
import sys, guestfix.actions.windows.drivers
from guestfix.formats.windows import inf
assert inf.parse(b"[a]\\nk = 1, 2").values("a", "k") == ("1", "2")
assert "pyparsing" not in sys.modules
assert inf.parse(b'[a]\\nk = "1, 2"').values("a", "k") == ("1, 2",)
assert "pyparsing" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_report_of_the_bundled_guests_does_without() -> None:
    """What `make bench` bounds; the 60 ms would be half of such a report."""
    guests = [path for path in sorted((ROOT / "testdata/guests").iterdir()) if path.is_dir()]
    code = "import sys; from guestfix.cli import run; [run(['report', one]) for one in sys.argv[1:]]\n"
    code += "assert 'pyparsing' not in sys.modules"
    subprocess.run([sys.executable, "-c", code, *guests], check=True, stdout=subprocess.DEVNULL)


PLAIN = b"""devices {
\tscan = [ "/dev", "/x" ]
\t# only SCSI disks
\tglobal_filter = [ "a|^/dev/sd|", "r|.*|" ]
}
global {
\tuse_lvmetad = 1
}
"""
LVM_WORDS = [b"devices {\n", b"}\n", b'filter = [ "a|x|", "r|.*|" ]\n', b"a = 1\n", b"# c\n", b'"x"']
LVM_FILES = [
    PLAIN,
    PLAIN.replace(b"sd|", b"vg|"),
    PLAIN.replace(b"devices", b"backup"),
    PLAIN.replace(b'"/x"', b'"}"'),
    PLAIN.replace(b"devices {", b"devices { a = 1 }\ndevices {"),
    PLAIN.replace(b"\t# only", b"\tfilter = [ ] # only"),
    PLAIN.replace(b'"r|.*|"', b'"r/.*/"').replace(b'"a|', b'"a/').replace(b'sd|"', b'sd/"'),
    PLAIN.replace(b'"a|^/dev/sd|", ', b""),
    PLAIN.replace(b"}\nglobal", b"global"),
    PLAIN.replace(b"scan = [", b"scan = 'x'\n\tscan = ["),
]


@pytest.mark.parametrize("src", LVM_FILES)
@pytest.mark.parametrize("change", [lambda src: src, lambda src: src.replace(b"\n", b"\r\n"), lambda src: src[:-1]])
def test_a_plain_file_is_read_as_the_grammar_reads_it(src, change) -> None:
    assert lvmconf.read(change(src)) == lvmgrammar.read(change(src))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([*b"a_/= []{}#\"'|,01.\\\n\r\t\0", *LVM_WORDS]), max_size=40))
def test_any_file_is_read_as_the_grammar_reads_it(parts) -> None:
    src = b"".join(bytes([part]) if isinstance(part, int) else part for part in parts)
    assert lvmconf.read(src) == lvmgrammar.read(src)


def test_the_plain_way_is_taken(monkeypatch) -> None:
    monkeypatch.setattr(lvmgrammar, "read", lambda src: pytest.fail("the grammar was asked"))
    assert lvmconf.read(PLAIN).get("devices/global_filter") and assembly.any_volume(PLAIN) != PLAIN


def test_a_long_number_costs_no_more_than_its_length() -> None:
    begun = time.process_time()
    lvmconf.read(b"a = [ " + b"1" * 5000 + b" x\n")
    assert time.process_time() - begun < 1


@pytest.mark.parametrize("name", READERS)
def test_the_hundredth_file_takes_no_longer_than_the_first(name: str) -> None:
    """pyparsing's elements can be changed by what is made of them."""
    src = b'a { b = "c" }\n' * 20
    times = []
    for _ in range(100):
        begun = time.process_time()
        READERS[name](src)
        times.append(time.process_time() - begun)
    assert min(times[-10:]) < 3 * min(times[:10]) + 0.01
