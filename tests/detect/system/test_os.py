"""Every release file that is in use is read, the distribution's own before those that it merely carries."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.backends.directory import DirectoryGuest
from guestfix.base.facts import Facts, Unknown
from guestfix.detect.system import os as os_detector
from guestfix.detect.system.distro import Known
from guestfix.detect.system.elf import machine_of
from guestfix.detect.system.identity import parse_os_release, parse_release
from tests.build.systems import SYSTEMS
from tests.build.tree import build, elf


def facts_of(root: Path, files: dict[str, object]) -> Facts:
    build(root, files)
    facts = Facts()
    os_detector.detect(DirectoryGuest(str(root)), facts, SYSTEMS)
    return facts


OL7 = 'NAME="Oracle Linux Server"\nVERSION="7.3"\nID="ol"\nVERSION_ID="7.3"\n'
CENTOS7 = 'NAME="CentOS Linux"\nID="centos"\nID_LIKE="rhel fedora"\nVERSION_ID="7"\n'
STREAM8 = 'NAME="CentOS Stream"\nID="centos"\nVERSION_ID="8"\nREDHAT_SUPPORT_PRODUCT_VERSION="CentOS Stream"\n'

IDENTITIES = [
    # title, files, id, version
    ("RHEL 7's misleading NAME", {"etc/os-release": 'NAME="Fedora"\nID="rhel"\nVERSION_ID="7.0"\n'}, "rhel", "7.0"),
    ("quoted by apostrophes", {"etc/os-release": "ID='debian'\nVERSION_ID='11'\n"}, "debian", "11"),
    ("unquoted, 8.10 stays 8.10", {"etc/os-release": "ID=rhel\nVERSION_ID=8.10\n"}, "rhel", "8.10"),
    ("CRLF line ends", {"etc/os-release": b"ID=fedora\r\nVERSION_ID=41\r\n"}, "fedora", "41"),
    ("no final newline, spaces", {"etc/os-release": '  ID="sles"\n VERSION_ID="15.4"'}, "sles", "15 SP4"),
    ("SLES without service pack", {"etc/os-release": 'ID="sles"\nVERSION_ID="12"\n'}, "sles", "12"),
    ("SLES 16 has minor versions", {"etc/os-release": 'ID="sles"\nVERSION_ID="16.0"\n'}, "sles", "16.0"),
    ("SLES for SAP", {"etc/os-release": 'ID="sles_sap"\nVERSION_ID="15.6"\n'}, "sles", "15 SP6"),
    ("Leap is no SLES", {"etc/os-release": 'ID="opensuse-leap"\nVERSION_ID="15.6"\n'}, "opensuse-leap", "15.6"),
    ("usr/lib is the fallback", {"usr/lib/os-release": "ID=arch\n", "etc/issue": "x"}, "arch", None),
    (
        "etc wins over usr/lib",
        {"usr/lib/os-release": "ID=arch\n", "etc/os-release": "ID=debian\nVERSION_ID=12\n"},
        "debian",
        "12",
    ),
    (
        "an ID-less os-release does not hide the other",
        {"etc/os-release": "PRETTY_NAME=x\n", "usr/lib/os-release": "ID=alpine\nVERSION_ID=3.20.1\n"},
        "alpine",
        "3.20.1",
    ),
    (
        "Debian's point release",
        {"etc/os-release": 'ID=debian\nVERSION_ID="12"\n', "etc/debian_version": "12.4\n"},
        "debian",
        "12.4",
    ),
    (
        "a debian_version of another major is not believed",
        {"etc/os-release": 'ID=debian\nVERSION_ID="12"\n', "etc/debian_version": "11.3\n"},
        "debian",
        "12",
    ),
    (
        "Debian testing by its codename",
        {"etc/os-release": "ID=debian\nVERSION_CODENAME=forky\n", "etc/debian_version": "forky/sid\n"},
        "debian",
        "14",
    ),
    (
        "Ubuntu's debian_version is ignored",
        {"etc/os-release": 'ID=ubuntu\nVERSION_ID="20.04"\n', "etc/debian_version": "bullseye/sid\n"},
        "ubuntu",
        "20.04",
    ),
    ("old Debian", {"etc/debian_version": "6.0.8\n"}, "debian", "6.0.8"),
    (
        "CentOS 7's minor from centos-release",
        {"etc/os-release": CENTOS7, "etc/centos-release": "CentOS Linux release 7.9.2009 (Core)\n"},
        "centos",
        "7.9",
    ),
    ("CentOS 7 without centos-release", {"etc/os-release": CENTOS7}, "centos", "7"),
    ("CentOS 6", {"etc/redhat-release": "CentOS release 6.5 (Final)\n"}, "centos", "6.5"),
    ("CentOS Stream", {"etc/os-release": STREAM8}, "centos", "8"),
    (
        "RHEL 5",
        {"etc/redhat-release": "Red Hat Enterprise Linux Server release 5.11 (Tikanga)\n"},
        "rhel",
        "5.11",
    ),
    (
        "RHEL 4 counts updates",
        {"etc/redhat-release": "Red Hat Enterprise Linux AS release 4 (Nahant Update 8)\n"},
        "rhel",
        "4.8",
    ),
    (
        "Oracle 5 carries Red Hat's file too",
        {
            "etc/redhat-release": "Red Hat Enterprise Linux Server release 5.10 (Tikanga)\n",
            "etc/oracle-release": "Oracle Linux Server release 5.10\n",
        },
        "ol",
        "5.10",
    ),
    (
        "Oracle's earlier name",
        {
            "etc/redhat-release": "Red Hat Enterprise Linux Server release 5.4 (Tikanga)\n",
            "etc/enterprise-release": "Enterprise Linux Enterprise Linux Server release 5.4 (Carthage)\n",
        },
        "ol",
        "5.4",
    ),
    (
        "Oracle 7 with Red Hat's file",
        {"etc/os-release": OL7, "etc/redhat-release": "Red Hat Enterprise Linux Server release 7.3 (Maipo)\n"},
        "ol",
        "7.3",
    ),
    (
        "SLES 11 by SuSE-release",
        {"etc/SuSE-release": "SUSE Linux Enterprise Server 11 (x86_64)\nVERSION = 11\nPATCHLEVEL = 3\n"},
        "sles",
        "11 SP3",
    ),
    (
        "SLES 11 without service pack",
        {"etc/SuSE-release": "SUSE Linux Enterprise Server 11 (x86_64)\nVERSION = 11\nPATCHLEVEL = 0\n"},
        "sles",
        "11",
    ),
    ("SLES 11 SP4 by os-release", {"etc/os-release": 'ID="sles"\nVERSION_ID="11.4"\n'}, "sles", "11 SP4"),
    ("openSUSE 11.4", {"etc/SuSE-release": "openSUSE 11.4 (x86_64)\nVERSION = 11.4\n"}, "opensuse", "11.4"),
    ("Amazon Linux 1", {"etc/system-release": "Amazon Linux AMI release 2018.03\n"}, "amzn", "2018.03"),
    ("Amazon Linux 2", {"etc/os-release": 'ID="amzn"\nVERSION_ID="2"\n'}, "amzn", "2"),
    ("Fedora 18", {"etc/fedora-release": "Fedora release 18 (Spherical Cow)\n"}, "fedora", "18"),
    ("lsb-release", {"etc/lsb-release": "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=12.10\n"}, "ubuntu", "12.10"),
    ("only a CPE name", {"etc/system-release-cpe": "cpe:/o:redhat:enterprise_linux:6.8:ga\n"}, "rhel", "6.8"),
    ("only a greeting", {"etc/issue": "Ubuntu 14.04.4 LTS \\n \\l\n\n"}, "ubuntu", "14.04.4"),
    (
        "a derived distribution",
        {"etc/os-release": 'ID="sangoma"\nID_LIKE="centos rhel"\nVERSION_ID=7\n'},
        "sangoma",
        "7",
    ),
]


@pytest.mark.parametrize(("title", "files", "ident", "version"), IDENTITIES, ids=[row[0] for row in IDENTITIES])
def test_identity(tmp_path: Path, title: str, files: dict[str, object], ident: str, version: str | None) -> None:
    facts = facts_of(tmp_path, files)
    assert facts.value("os.family") == "linux"
    assert (facts.value("os.id"), facts.value("os.version")) == (ident, version), title
    assert facts.evidence("os.id"), "no evidence"


def test_stream_is_a_variant(tmp_path: Path) -> None:
    assert facts_of(tmp_path, {"etc/os-release": STREAM8}).value("os.variant") == "stream"


def test_evidence_names_the_line(tmp_path: Path) -> None:
    facts = facts_of(tmp_path, {"etc/os-release": "NAME=x\n\nID=debian\nVERSION_ID=12\n"})
    assert [(one.path, one.line) for one in facts.evidence("os.id")] == [("/etc/os-release", 3), ("/etc/os-release", 4)]


def test_links_stay_inside_the_guest(tmp_path: Path) -> None:
    files = {
        "etc/os-release": ("link", "../../../usr/lib/os-release"),
        "usr/lib/os-release": "ID=fedora\nVERSION_ID=40\n",
    }
    assert facts_of(tmp_path, files).value("os.id") == "fedora"


def test_architecture_comes_from_programs_not_names(tmp_path: Path) -> None:
    files = {
        "etc/os-release": "ID=debian\n",
        "lib64/ld-linux-x86-64.so.2": "a name only",
        "bin": ("link", "usr/bin"),
        "usr/bin/sh": ("link", "/usr/bin/dash"),
        "usr/bin/dash": elf(183, bits=64),
    }
    facts = facts_of(tmp_path, files)
    assert facts.value("os.arch") == "aarch64"
    assert facts.evidence("os.arch")[0].path == "/bin/sh"


@pytest.mark.parametrize(
    ("machine", "bits", "big", "name"),
    [
        (3, 32, False, "i686"),
        (62, 64, False, "x86_64"),
        (21, 64, False, "ppc64le"),
        (22, 64, True, "s390x"),
        (999, 64, False, "elf-machine-999"),
    ],
)
def test_elf_machines(machine: int, bits: int, big: bool, name: str) -> None:
    assert machine_of(elf(machine, bits=bits, big=big)) == name


def test_no_program_no_architecture(tmp_path: Path) -> None:
    assert isinstance(facts_of(tmp_path, {"etc/os-release": "ID=debian\n"})["os.arch"].value, Unknown)


def test_unknown_linux_still_has_its_family(tmp_path: Path) -> None:
    facts = facts_of(tmp_path, {"etc/fstab": "", "bin/sh": elf(62)})
    assert facts.value("os.family") == "linux"
    assert facts.value("os.arch") == "x86_64"
    assert isinstance(facts["os.id"].value, Unknown)


@pytest.mark.parametrize("top", ["Windows", "WINDOWS", "WINNT"])
def test_windows_root(tmp_path: Path, top: str) -> None:
    facts = facts_of(tmp_path, {f"{top}/system32/config/SYSTEM": b"regf"})
    assert facts.value("os.family") == "windows"
    assert facts.evidence("os.family")[0].path == f"/{top}/system32/config/SYSTEM"


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"vmlinuz": "", "grub/grub.cfg": ""}, "/boot filesystem"),
        ({"root/etc/os-release": "ID=debian\n"}, "one level below, in root"),
        ({"data/x": ""}, "name the directory"),
    ],
)
def test_no_system_is_a_blocker_that_says_what_to_name(tmp_path: Path, files: dict[str, object], says: str) -> None:
    build(tmp_path, files)
    facts = Facts()
    (finding,) = os_detector.detect(DirectoryGuest(str(tmp_path)), facts, SYSTEMS)
    assert (finding.code, finding.severity) == ("GF-OS-NOT-FOUND", "blocker")
    assert says in finding.remedy
    assert isinstance(facts["os.family"].value, Unknown)


KNOWN = Known(SYSTEMS)
BOOKWORM = {"etc/os-release": 'ID=debian\nVERSION_ID="12"\n', "etc/debian_version": "12.5\n"}
XEN = 'NAME="{}"\nID="xenenterprise"\nID_LIKE="centos rhel fedora"\nVERSION_ID="8.3.0"\n'


@pytest.mark.parametrize(
    ("files", "ident", "version"),
    [
        (BOOKWORM, "debian", "12.5"),
        (BOOKWORM | {"usr/bin/pveversion": ""}, "proxmox-ve", "8"),
        ({"etc/os-release": "ID=debian\nVERSION_ID=7\n", "usr/bin/pveversion": ""}, "proxmox-ve", None),
        ({"etc/os-release": "ID=ubuntu\nVERSION_ID=24.04\n", "usr/bin/pveversion": ""}, "ubuntu", "24.04"),
        ({"etc/os-release": XEN.format("XCP-ng")}, "xcp-ng", "8.3.0"),
        ({"etc/os-release": XEN.format("Citrix Hypervisor")}, "xenenterprise", "8.3.0"),
        ({"etc/devuan_version": "daedalus/ceres\n", "etc/debian_version": "12.0\n"}, "devuan", "5"),
        ({"etc/issue": "Welcome to Photon OS 4.0\n"}, "photon", "4.0"),
    ],
)
def test_systems_that_bear_anothers_id(
    tmp_path: Path, files: dict[str, object], ident: str, version: str | None
) -> None:
    facts = facts_of(tmp_path, files)
    assert (facts.value("os.id"), facts.value("os.version")) == (ident, version)


PIECES = [
    *(b"ID=", b"VERSION_ID=", b"'", b'"', b"\\", b"\n", b"15.", b"\xff", b"\xc2\xb2"),
    *(b"9" * 5000, b"release ", b"SUSE Linux Enterprise", b"VERSION = "),
]
RAW = st.one_of(
    st.binary(max_size=200),
    st.lists(
        st.sampled_from(PIECES),
        max_size=12,
    ).map(b"".join),
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(RAW)
def test_any_bytes_are_survived(data: bytes) -> None:
    for found in (parse_os_release(data, "/etc/os-release", KNOWN), parse_release(data, "/etc/SuSE-release", KNOWN)):
        assert found is None or found.id


@settings(max_examples=60, deadline=None)
@given(RAW)
def test_hostile_trees_are_survived(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    names = [
        "os-release",
        "redhat-release",
        "SuSE-release",
        "debian_version",
        "lsb-release",
        "issue",
        "system-release-cpe",
    ]
    facts = facts_of(tmp_path_factory.mktemp("guest"), {f"etc/{name}": data for name in names} | {"bin/sh": data})
    for name in ("os.id", "os.version"):
        value = facts.value(name)
        assert value is None or len(value) <= 128


def test_no_device_or_fifo_is_opened(tmp_path: Path) -> None:
    import os

    (tmp_path / "etc").mkdir()
    os.mkfifo(tmp_path / "etc/os-release")
    assert facts_of(tmp_path, {"etc/debian_version": "12.4\n"}).value("os.version") == "12.4"
