from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guestfix.backends.directory import open_directory
from guestfix.base.facts import Facts, Finding
from guestfix.detect.storage import mountunits
from guestfix.pack.model import Target
from tests.build.tree import build

UNITS = "etc/systemd/system/"


def detect(tmp_path: Path, files: dict[str, object]) -> list[Finding]:
    facts = Facts()
    facts.put("os.family", "linux")
    facts.put("disks.uuid_by_device", {"/dev/sdb1": "UUID=b-uuid"})
    return mountunits.detect(open_directory(str(build(tmp_path, {"etc/x": "", **files}))), facts, Target("t", "T"))


@pytest.mark.parametrize(
    ("unit", "code", "remedy"),
    [
        ("[Mount]\nWhat=/dev/sdb1\nWhere=/data\n", "GF-MOUNT-UNIT-DEVICE", "write What=/dev/disk/by-uuid/b-uuid"),
        (
            "[Mount]\r\nWhat = /dev/sdc1\r\n",
            "GF-MOUNT-UNIT-DEVICE",
            "write What=/dev/disk/by-uuid/...",
        ),
        ("[Mount]\nWhat=share\nType=vboxsf\n", "GF-MOUNT-UNIT-SHARE", "systemctl disable data.mount, or mask it"),
        ("[Mount]\nWhat=//nas/x\n", "GF-MOUNT-UNIT-SHARE", "systemctl disable data.mount, or mask it"),
    ],
)
def test_units_that_will_not_work_elsewhere(tmp_path: Path, unit: str, code: str, remedy: str) -> None:
    (finding,) = detect(tmp_path, {UNITS + "data.mount": unit})
    assert (finding.code, finding.severity, finding.remedy) == (code, "info", remedy)
    assert finding.evidence[0].line > 1


def test_a_swap_unit_is_named_after_its_device(tmp_path: Path) -> None:
    (finding,) = detect(tmp_path, {UNITS + "dev-sdb1.swap": "[Swap]\nWhat=/dev/sdb1\n"})
    assert finding.remedy == "name the swap area in /etc/fstab by UUID=b-uuid instead, and remove this unit"


@pytest.mark.parametrize("link", ["multi-user.target.wants/data.mount", "remote-fs.target.requires/data.automount"])
def test_an_enabled_unit_is_a_warning(tmp_path: Path, link: str) -> None:
    files = {UNITS + "data.mount": "[Mount]\nWhat=/dev/sdb1\n", UNITS + link: "x"}
    assert [finding.severity for finding in detect(tmp_path, files)] == ["warning"]


@pytest.mark.parametrize(
    "unit",
    [
        "[Mount]\nWhat=/dev/disk/by-uuid/x\n",
        "[Mount]\nWhat=/dev/mapper/vg-x\n",
        "[Mount]\nWhat=tmpfs\nType=tmpfs\n",
        "[Unit]\nWhat=/dev/sdb1\n",
        "[Mount]\n#What=/dev/sdb1\n;What=/dev/sdb1\n",
        ("link", "/dev/null"),
        "",
    ],
)
def test_units_that_stay_right(tmp_path: Path, unit: object) -> None:
    assert detect(tmp_path, {UNITS + "data.mount": unit}) == []


@given(src=st.binary(max_size=200))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes(tmp_path: Path, src: bytes) -> None:
    assert len(detect(tmp_path, {UNITS + "data.swap": b"[Swap]\nWhat=" + src})) <= 1


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("dev-sdb1.device", True),
        ("dev-disk-by\\x2duuid-gone.device", True),
        ("dev-disk-by\\x2duuid-here.device", False),
        ("network.target", False),
    ],
)
def test_a_unit_that_requires_a_device_waits_for_it(tmp_path, word, told):
    text = f"[Unit]\nRequires={word}\n[Service]\nExecStart=/bin/true\n"
    folder = "etc/systemd/system"
    files = {f"{folder}/x.service": text, f"{folder}/multi-user.target.wants/x.service": ""}
    facts = Facts()
    facts.put("os.family", "linux")
    facts.put("disks.specs", ["UUID=here"])
    facts.put("disks.tagged", True)
    facts.put("disks.complete", True)
    found = mountunits.detect(open_directory(str(build(tmp_path, files))), facts, Target("t", "T"))
    expected = [("GF-UNIT-DEVICE", "waits", 90)] if told else []
    assert [(one.code, one.outcome, one.seconds) for one in found] == expected


@pytest.mark.parametrize(("what", "told"), [("/dev/disk/by-uuid/gone", True), ("/dev/disk/by-uuid/here", False)])
def test_a_mount_unit_of_a_volume_that_is_gone_waits_for_it(tmp_path, what, told):
    folder = "etc/systemd/system"
    files = {f"{folder}/srv.mount": f"[Mount]\nWhat={what}\nWhere=/srv\n", f"{folder}/x.wants/srv.mount": ""}
    facts = Facts()
    facts.put("os.family", "linux")
    facts.put("disks.specs", ["UUID=here"])
    facts.put("disks.tagged", True)
    facts.put("disks.complete", True)
    found = mountunits.detect(open_directory(str(build(tmp_path, files))), facts, Target("t", "T"))
    assert [one.code for one in found] == (["GF-UNIT-DEVICE"] if told else [])
