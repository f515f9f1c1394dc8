"""What importers read: each form as its own reader takes it, whatever the guest holds."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from guestfix.base.catalog.findings import FINDINGS
from guestfix.base.facts import Evidence, Fact, Facts, Finding
from guestfix.cli import run
from guestfix.pack.cache import load_pack
from guestfix.plan.osinfo import put_osinfo
from guestfix.report.importers import MOST, Seen, concerns, failure_record, inspection_xml
from tests.build.tree import build, elf

ROOT = Path(__file__).resolve().parents[2]
GUESTS = ROOT / "testdata/guests"


@pytest.mark.parametrize(
    ("guest", "distro", "osinfo", "packages", "firmware"),
    [
        ("rhel7-vmware", "rhel", "rhel7.9", "rpm", "bios"),
        ("debian-12", "debian", "debian12", "deb", "bios"),
        ("ubuntu-22.04", "ubuntu", "ubuntu22.04", "deb", "uefi"),
        ("sles-15", "sles", "sle15sp5", "rpm", "bios"),
    ],
)
def test_inspection_xml_as_virt_v2v_inspector_writes_it(guest, distro, osinfo, packages, firmware, tmp_path, capfd):
    assert run(["inspect", str(GUESTS / guest), "-O", str(tmp_path / "x.xml")]) == 0
    root = ElementTree.parse(tmp_path / "x.xml").getroot()
    system = root.find("operatingsystem")
    assert root.tag == "v2v-inspection" and root.find("firmware").get("type") == firmware
    names = ("name", "distro", "osinfo", "arch", "package_format")
    assert [system.findtext(name) for name in names] == ["linux", distro, osinfo, "x86_64", packages]
    assert system.findtext("product_name") and system.findtext("major_version").isdigit()
    mounted = {one.text: one.get("dev") for one in system.findall("mountpoints/mountpoint")}
    devices = {one.get("dev") for one in system.findall("filesystems/filesystem")}
    assert "/" in mounted and all(mounted.values()) and set(mounted.values()) & devices


def test_apply_writes_the_same_of_the_guest_as_it_was(tmp_path, capfd):
    root = build(tmp_path / "guest", {"etc/os-release": 'ID=debian\nVERSION_ID="12"\n', "bin/sh": elf()})
    (root / "etc/fstab").write_text("UUID=1 / ext4 defaults 0 1\n//nas/share /mnt cifs defaults 0 0\n")
    assert run(["report", str(root), "--format", "json", "-O", str(tmp_path / "report.xml")]) == 0
    (tmp_path / "plan.json").write_text(capfd.readouterr().out)
    words = ["-O", str(tmp_path / "apply.xml"), "--write", f"leapp={tmp_path / 'leapp.json'}"]
    assert run(["apply", str(root), "--plan", str(tmp_path / "plan.json"), "-O", str(tmp_path / "none/x")]) == 2
    assert not (root / "var/lib/guestfix").exists() and "can't be written" in capfd.readouterr().err
    for more in (["-O", "-"], ["--write", "leapp=-"]):
        assert run(["apply", str(root), *more]) == 64 and "name a file" in capfd.readouterr().err
    assert run(["apply", str(root), "--write", "lepp=x"]) == 64 and "did you mean leapp?" in capfd.readouterr().err
    assert run(["apply", str(root), "--plan", str(tmp_path / "plan.json"), *words]) == 0
    assert (tmp_path / "apply.xml").read_bytes() == (tmp_path / "report.xml").read_bytes()
    assert json.loads((tmp_path / "leapp.json").read_text())["entries"] is not None
    assert b"<distro>debian</distro>" in (tmp_path / "apply.xml").read_bytes()


@pytest.mark.parametrize(
    ("ident", "version", "osinfo"),
    [
        ("centos", "7.9", "centos7.9"),
        ("centos", "8.5", "centos8"),
        ("sles", "12", "sles12"),
        ("sles", "15 SP4", "sle15sp4"),
        ("ubuntu", "12.04.5", "ubuntu12.04"),
        ("windows-11", "10.0.22631", "win11"),
        ("windows-server-2012-r2", "6.3.9600", "win2k12r2"),
        ("acme", "1", "unknown"),
    ],
)
def test_ids_of_libosinfo_come_from_the_table(ident, version, osinfo):
    facts = Facts()
    facts.put("os.id", ident)
    facts.put("os.version", version)
    put_osinfo(facts, load_pack().tables["osinfo"])
    assert facts["os.osinfo"].value == osinfo


def test_every_system_of_the_table_is_one_of_the_pack_or_a_windows():
    pack = load_pack()
    ids = {one.id for one in pack.systems}
    assert all(name in ids or name.startswith("windows-") for name in pack.tables["osinfo"])


def test_xml_of_any_text_is_xml():
    bad = "a\x00b\x1b[0m<&>\udcff\ufffe"
    facts = [Fact("os.name", bad, ()), Fact("os.family", "linux", ())]
    root = ElementTree.fromstring(inspection_xml(Seen(facts, (), None, {})))
    assert root.findtext("operatingsystem/product_name").startswith("a\\x00b\\x1b[0m<&>\\xff")
    assert root.findtext("operatingsystem/osinfo") == "unknown"


def test_what_forklift_coriolis_and_leapp_read(tmp_path, capfd):
    files = {"etc/os-release": "ID=debian\nVERSION_ID=12\n", "bin/sh": elf(243), "etc/hostname": "h\n"}
    guest = build(tmp_path / "g", files)
    words = [word for name in ("forklift", "coriolis", "leapp") for word in ("--write", f"{name}={tmp_path}/{name}")]
    assert run(["report", str(guest), *words]) == 2
    found = json.loads((tmp_path / "forklift").read_text())["concerns"]
    assert all(set(one) == {"id", "category", "label", "assessment"} and all(one.values()) for one in found)
    assert ("guestfix.target.arch", "Critical") in {(one["id"], one["category"]) for one in found}
    assert set(json.loads((tmp_path / "coriolis").read_text())) == {
        "os_type", "distribution_name", "release_version", "friendly_release_name",
    }  # fmt: skip
    report = json.loads((tmp_path / "leapp").read_text())
    needed = {"hostname", "severity", "timeStamp", "title", "actor", "summary", "audience", "id"}
    assert report["leapp_run_id"] and all(needed <= set(one) for one in report["entries"])
    blockers = [one for one in report["entries"] if "inhibitor" in one["groups"]]
    assert blockers and {one["severity"] for one in blockers} == {"high"} and blockers[0]["hostname"] == "h"


@pytest.mark.parametrize("text", ["short", "long " * 5000, "\x00" * 9000, "\udcff\u20ac" * 3000, '"' * 9000])
def test_a_failure_record_fits(text):
    for message, remedy in ((text, "do it"), (text, text), ("x", text)):
        data = failure_record("GF-DISK-LUKS", message, remedy)
        assert len(data) <= MOST
        record = json.loads(data.decode("utf-8"))
        assert set(record) == {"code", "summary", "message", "remediation"} and record["code"] == "GF-DISK-LUKS"
        assert record["summary"] == FINDINGS["GF-DISK-LUKS"].meaning


def test_a_failure_is_recorded_whatever_it_is(tmp_path, capfd):
    files = {"etc/os-release": "ID=debian\nVERSION_ID=12\n", "bin/sh": elf(243), "var/x": ""}
    guest = build(tmp_path / "g", files)
    file = tmp_path / "record"
    for words, code in (
        (["report", tmp_path / "none"], "GF-OS-NOT-FOUND"),
        (["report", guest], "GF-TARGET-ARCH"),
        (["apply", guest], "GF-TARGET-ARCH"),
        (["report", guest, "--nonsense"], "GF-RUN-USAGE"),
        (["revert", guest], "GF-APPLY-NO-JOURNAL"),
    ):
        assert run([*map(str, words), "--failure-record", str(file)])
        assert json.loads(file.read_text())["code"] == code, words
    assert run(["inspect", str(guest), f"--failure-record={file}"]) == 0
    assert file.read_text() == ""


def test_importers_that_there_are_not(tmp_path, capfd):
    for words, says in ((["--write", "forklif=x"], "did you mean forklift?"), (["--write", "leapp"], "leapp=FILE")):
        assert run(["report", str(GUESTS / "debian-12"), *words]) == 64
        assert says in capfd.readouterr().err
    assert run(["inspect", str(GUESTS / "debian-12"), "-O", str(tmp_path / "no/x")]) == 2


def test_every_finding_can_be_a_concern():
    findings = [Finding(code, kind.severities[0], "said", (Evidence("/x"),)) for code, kind in FINDINGS.items()]
    assert len({one["id"] for one in concerns(findings)}) == len(FINDINGS)
