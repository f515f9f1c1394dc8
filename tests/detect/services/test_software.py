"""Which guest software, and what watches the guest, is seen; and what of it has no work on the target."""

from __future__ import annotations

from pathlib import Path

import pytest

from guestfix.backends.directory import DirectoryGuest
from guestfix.base.facts import Facts, Finding
from guestfix.base.record import replace
from guestfix.detect.services import software
from guestfix.detect.services.sshd import read
from guestfix.detect.system.initsystem import Services
from guestfix.detect.system.programs import Programs
from guestfix.pack.cache import load_pack
from guestfix.pack.model import Target
from tests.build.tree import build

PACK = load_pack()
TABLES = ("guest-software", "security-software")
ROWS = [(table, name, row) for table in TABLES for name, row in PACK.tables[table].items()]
NOWHERE = replace(PACK.targets["kvm-virtio"], agents=(), tables=PACK.tables)
UNIT, WANTS = "lib/systemd/system", "etc/systemd/system/multi-user.target.wants"


def look(root: Path, files: dict[str, object], target: Target = NOWHERE) -> tuple[Facts, list[Finding]]:
    build(root, {"etc/hostname": "x\n", **files})
    guest, facts = DirectoryGuest(str(root)), Facts()
    return facts, software.learn(guest, facts, target, Services(guest), Programs(guest), read(guest))


def seen(facts: Facts, table: str) -> object:
    return facts.value("software.guest" if table == "guest-software" else "software.security")


@pytest.mark.parametrize(("table", "name", "row"), ROWS, ids=lambda one: one if isinstance(one, str) else "")
def test_every_row_is_seen_by_each_of_its_signs(table, name, row, tmp_path):
    signs = [f"{UNIT}/{one if one.endswith('.mount') else one + '.service'}" for one in row["services"]]
    signs += [f"etc/systemd/system/{one}.timer" for one in row["services"][:1]]
    signs += [f"etc/init.d/{one}" for one in row["services"] if "@" not in one and "." not in one]
    signs += [f"usr/sbin/{one}" for one in row["programs"]]
    signs += [f"var/lib/dpkg/info/{one}.list" for one in row["packages"]]
    signs += [f"var/lib/pacman/local/{one}-1.2-1/desc" for one in row["packages"]]
    signs += [one.lstrip("/").replace("*", "7.0.14") for one in row["marks"]]
    for number, sign in enumerate(signs):
        facts, _ = look(tmp_path / str(number), {sign: "x"})
        assert name in seen(facts, table), sign


@pytest.mark.parametrize("folder", ["lib/systemd/system", "usr/lib/systemd/system", "etc/systemd/system"])
def test_a_unit_of_another_platform_is_left_and_one_of_the_target_is_not(folder, tmp_path):
    files = {f"{folder}/vmtoolsd.service": "", f"{WANTS}/vmtoolsd.service": ("link", f"/{folder}/vmtoolsd.service")}
    facts, found = look(tmp_path / "a", files)
    assert facts.value("software.left_units") == ["vmtoolsd.service"]
    assert [one.code for one in found] == ["GF-SOFTWARE-LEFT"] and f"/{WANTS}/vmtoolsd.service" in str(found[0])
    facts, found = look(tmp_path / "b", files, replace(NOWHERE, agents=("vmware",)))
    assert facts.value("software.guest") == ["VMware Tools"]
    assert facts.value("software.left_units") == [] and found == []


QUIET = {
    "a masked unit": {"etc/systemd/system/vmtoolsd.service": ("link", "/dev/null"), f"{UNIT}/vmtoolsd.service": ""},
    "a script without start links": {"etc/init.d/vmware-tools": "", "etc/rc3.d/K10vmware-tools": ("link", "../x")},
    "a name that only begins so": {f"{UNIT}/vmtoolsd2.service": "", "usr/bin/vmtoolsd-extra": "x"},
    "a program alone": {"usr/bin/vmtoolsd": "x"},
}


@pytest.mark.parametrize("files", QUIET.values(), ids=QUIET)
def test_what_does_not_start_is_left_alone(files, tmp_path):
    facts, found = look(tmp_path, files)
    assert (facts.value("software.left_units"), facts.value("software.left_services"), found) == ([], [], [])


HOLDERS = {
    "a unit": {"etc/systemd/system/b.service": "[Unit]\nRequires=x.service \\\n vmtoolsd.service\n"},
    "a drop-in": {"etc/systemd/system/b.service.d/x.conf": "[Unit]\nBindsTo=vmtoolsd.service\n"},
}


@pytest.mark.parametrize("files", HOLDERS.values(), ids=HOLDERS)
def test_a_unit_that_another_requires_stays_and_is_told(files, tmp_path):
    unit = {f"{UNIT}/vmtoolsd.service": "", f"{WANTS}/vmtoolsd.service": ("link", "x")}
    facts, found = look(tmp_path, {**unit, **files})
    assert facts.value("software.left_units") == []
    assert [(one.code, one.evidence[0].path) for one in found] == [("GF-SOFTWARE-REQUIRED", f"/{next(iter(files))}")]


def test_what_a_unit_that_stays_requires_stays_too(tmp_path):
    files = {
        f"{UNIT}/vmtoolsd.service": "[Unit]\nRequires=vgauthd.service\n",
        f"{UNIT}/vgauthd.service": "[Unit]\nRequires=vmtoolsd.service\n",
        f"{UNIT}/vmware-tools.service": "",
        "etc/systemd/system/b.service": "[Unit]\nRequires=vmtoolsd.service\n",
    }
    facts, found = look(tmp_path, files)
    assert facts.value("software.left_units") == ["vmware-tools.service"]
    assert [one.summary.partition(" ")[0] for one in found] == ["vmtoolsd.service", "vgauthd.service"]


def test_what_only_wants_it_or_is_the_old_platforms_too_holds_nothing(tmp_path):
    own = "[Unit]\nRequires=vmtoolsd.service\n"
    files = {f"{UNIT}/vmtoolsd.service": "", "etc/systemd/system/vgauthd.service": own}
    files["etc/systemd/system/vgauthd.service.d/x.conf"] = own
    files["etc/systemd/system/b.service"] = "[Unit]\nWants=vmtoolsd.service\nAfter=vmtoolsd.service\n# Requires=x\n"
    facts, _ = look(tmp_path, files)
    assert facts.value("software.left_units") == ["vmtoolsd.service", "vgauthd.service"]


def test_antivirus_is_named_with_its_place(tmp_path):
    _, found = look(tmp_path, {"opt/CrowdStrike/falconctl": "x", f"{UNIT}/ds_agent.service": ""})
    assert [one.code for one in found] == ["GF-SOFTWARE-SECURITY"]
    assert "CrowdStrike Falcon, Trend Micro Deep Security" in found[0].summary
    assert [one.path for one in found[0].evidence] == ["/opt/CrowdStrike", f"/{UNIT}/ds_agent.service"]


def test_every_cloud_and_hypervisor_of_the_targets_keeps_something():
    platforms = {one for row in PACK.tables["guest-software"].values() for one in row["platform"]}
    for target in PACK.targets.values():
        assert target.agents == () or platforms & set(target.agents), f"{target.id}: {target.agents}"


@pytest.mark.parametrize("line", ["/opt/aws/bin/eic_run_authorized_keys %u %f", '"/usr/bin/google_authorized_keys"'])
def test_sshd_that_asks_the_old_cloud_for_keys_is_told(line, tmp_path):
    files = {"etc/ssh/sshd_config": f"Port 22\nAuthorizedKeysCommand {line}\n"}
    _, found = look(tmp_path / "a", files)
    assert [(one.code, one.evidence[0].line) for one in found] == [("GF-SSH-KEYS-COMMAND", 2)]
    assert look(tmp_path / "b", files, replace(NOWHERE, agents=("aws", "google")))[1] == []
    assert (
        look(tmp_path / "c", {"etc/ssh/sshd_config": "AuthorizedKeysCommand /usr/bin/sss_ssh_authorizedkeys\n"})[1]
        == []
    )


@pytest.mark.parametrize("name", ["a b", "\udcff", "x" * 220, "é"])
def test_an_odd_name_of_an_instance_costs_that_name_alone(name, tmp_path):
    files = {f"{UNIT}/policy-routes@.service": "", f"{WANTS}/policy-routes@{name}.service": ("link", "x")}
    files[f"{WANTS}/policy-routes@eth0.service"] = ("link", f"/{UNIT}/policy-routes@.service")
    found = look(tmp_path, files)[0].value("software.left_units")
    assert found == ["policy-routes@.service", "policy-routes@eth0.service"]
