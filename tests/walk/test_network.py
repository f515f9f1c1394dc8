"""The step network: the NIC's driver, its name, who may manage it, and what the boot waits for."""

from __future__ import annotations

from pathlib import Path

import pytest

from guestfix.backends.directory import DirectoryGuest
from guestfix.pack.cache import load_pack
from guestfix.plan.planner import Options, make_plan
from tests.build.tree import build

KERNEL = "6.1.0-18-amd64"
FOLDER = f"usr/lib/modules/{KERNEL}"
MENU = f"menuentry 'x' {{\n linux /boot/vmlinuz-{KERNEL} root=UUID=0a1 ro {{}}\n initrd /boot/initrd.img-{KERNEL}\n}}\n"
DEP = "kernel/net/{}.ko:\n"


def guest(
    folder: Path, modules: tuple[str, ...], builtin: str = "", conf: str = "", args: str = "", **more: str
) -> str:
    tree = {
        "etc/os-release": 'ID=debian\nVERSION_ID="12"\n',
        "etc/fstab": "UUID=0a1 / ext4 defaults 0 1\n",
        "boot/grub/grub.cfg": MENU.replace("{}", args, 1).replace("{{", "{").replace("}}", "}"),
        f"boot/vmlinuz-{KERNEL}": "x",
        f"boot/initrd.img-{KERNEL}": "x",
        f"{FOLDER}/modules.dep": "".join(DEP.format(one) for one in modules),
        f"{FOLDER}/modules.builtin": builtin,
        "etc/modprobe.d/local.conf": conf,
        **more,
    }
    return str(build(folder / "root", tree))


@pytest.mark.parametrize(
    ("target", "modules", "builtin", "conf", "codes"),
    [
        ("aws-nitro", ("e1000", "ena"), "", "", set()),
        ("aws-nitro", ("e1000",), "kernel/net/ena.ko\n", "blacklist ena\n", set()),
        ("aws-nitro", ("e1000",), "", "", {"GF-NETWORK-DRIVER-MISSING"}),
        ("kvm-virtio", ("e1000",), "", "", {"GF-NETWORK-DRIVER-MISSING"}),
        ("azure", ("e1000",), "", "", {"GF-NETWORK-DRIVER-MISSING"}),
        ("aws-xen", ("xen-netfront",), "", "", set()),
        ("aws-nitro", ("e1000", "ena"), "", "install ena /bin/false\n", set()),
        ("aws-nitro", ("loop",), "", "", set()),
    ],
)
def test_the_driver_of_the_target_s_nic(tmp_path, target, modules, builtin, conf, codes):
    plan = make_plan(DirectoryGuest(guest(tmp_path, modules, builtin, conf)), load_pack(), target)
    found = {one.code: one for one in plan.findings if one.code.startswith("GF-NETWORK-DRIVER")}
    assert set(found) == codes
    assert all(one.evidence and one.remedy and one.step == "network" for one in found.values())
    allowed = [one.path for one in plan.changes if one.path == "/etc/modprobe.d/local.conf"]
    assert bool(allowed) == bool(conf)
    if codes:
        assert plan.walk.after.stops_at == "network" and plan.blockers


def test_a_fixed_nic_whose_name_will_stay_passes(tmp_path):
    more = {
        "etc/network/interfaces": "auto eth0\niface eth0 inet static\n  address 192.0.2.9/24\n  gateway 192.0.2.1\n"
    }
    more |= {"sbin/dhclient": "", "etc/init.d/networking": "", "etc/rcS.d/S10networking": ""}
    plan = make_plan(DirectoryGuest(guest(tmp_path, ("ena",), args="net.ifnames=0", **more)), load_pack(), "aws-nitro")
    before, after = (
        next(one for one in way.steps if one.id == "network") for way in (plan.walk.before, plan.walk.after)
    )
    assert (before.outcome, after.outcome) == ("unknown", "passes"), after.because
    assert "eth0" in after.because


def after(plan):
    return next(step for step in plan.walk.after.steps if step.id == "network")


NM = "etc/systemd/system/multi-user.target.wants/NetworkManager.service"
PROFILE = "etc/NetworkManager/system-connections/a.nmconnection"
PROFILED = {NM: "[Unit]\n", PROFILE: "[connection]\nid=a\ntype=ethernet\n[ipv4]\nmethod=auto\n"}


@pytest.mark.parametrize(
    ("args", "more", "outcome"),
    [
        ("module_blacklist=ena", {}, "stops"),
        ("modprobe.blacklist=floppy,ena", {}, "stops"),
        ("rd.driver.blacklist=ena", {}, "passes"),
        ("modprobe.blacklist=ena", {"etc/modules-load.d/nic.conf": "# the NIC\nena\n"}, "unknown"),
    ],
)
def test_a_driver_that_the_kernel_s_arguments_block(tmp_path, args, more, outcome):
    root = guest(tmp_path, ("e1000", "ena"), args=args, **PROFILED, **more)
    plan = make_plan(DirectoryGuest(root), load_pack(), "aws-nitro")
    before = next(step for step in plan.walk.before.steps if step.id == "network")
    assert (before.outcome, after(plan).outcome) == (outcome, "passes")
    kept = make_plan(DirectoryGuest(root), load_pack(), "aws-nitro", Options(skip=("boot/*",)))
    found = [one for one in kept.findings if one.code == "GF-NETWORK-DRIVER-BLOCKED"]
    assert [one.evidence[0].line for one in found] == ([] if outcome == "passes" else [2])


def test_a_kernel_that_has_the_driver_is_named(tmp_path):
    newer = "6.9.0-1-amd64"
    more = {f"usr/lib/modules/{newer}/modules.dep": DEP.format("ena"), f"boot/vmlinuz-{newer}": "x"}
    plan = make_plan(DirectoryGuest(guest(tmp_path, ("e1000",), **more)), load_pack(), "aws-nitro")
    assert newer in next(one.remedy for one in plan.findings if one.code == "GF-NETWORK-DRIVER-MISSING")


def test_a_nic_that_the_driver_s_name_keeps_unmanaged_is_let_in(tmp_path):
    conf = {"etc/NetworkManager/conf.d/x.conf": "[keyfile]\nunmanaged-devices=driver:virtio_net\n"}
    root = guest(tmp_path, ("virtio_net",), **PROFILED, **conf)
    plan = make_plan(DirectoryGuest(root), load_pack(), "kvm-virtio")
    before = next(step for step in plan.walk.before.steps if step.id == "network")
    assert (before.outcome, after(plan).outcome) == ("stops", "passes")
    kept = make_plan(DirectoryGuest(root), load_pack(), "kvm-virtio", Options(skip=("network/managed",)))
    assert after(kept).outcome == "stops" and not kept.blockers


MANY = {f"usr/sbin/tool{number}": "" for number in range(60)}
STATIC = "auto eth0\niface eth0 inet static\n  address 192.0.2.9/24\n  gateway 192.0.2.1\n"
IFUPDOWN = {"etc/network/interfaces": STATIC, "etc/init.d/networking": "", "etc/rcS.d/S10networking": ""}


@pytest.mark.parametrize(
    ("program", "policy", "outcome"),
    [("", "dhcp", "stops"), ("", "preserve", "unknown"), ("dhclient", "dhcp", "passes"), ("udhcpc", "dhcp", "passes")],
)
def test_a_dhcp_client_is_needed_where_a_profile_asks_for_one(tmp_path, program, policy, outcome):
    more = {**MANY, **IFUPDOWN, **({f"sbin/{program}": ""} if program else {})}
    root = guest(tmp_path, ("ena",), args="net.ifnames=0", **more)
    plan = make_plan(DirectoryGuest(root), load_pack(), "aws-nitro", Options(policies={"network": policy}))
    assert after(plan).outcome == outcome
    assert [one.code for one in plan.blockers] == (["GF-NETWORK-DHCP-CLIENT-MISSING"] if outcome == "stops" else [])


def test_a_boot_that_waits_for_a_network_says_how_long(tmp_path):
    wants = "etc/systemd/system/network-online.target.wants/systemd-networkd-wait-online.service"
    more = {
        "etc/systemd/network/a.network": "[Match]\nName=ens192\n[Network]\nAddress=192.0.2.9/24\n",
        wants: "[Unit]\n",
    }
    more["etc/systemd/system/multi-user.target.wants/systemd-networkd.service"] = "[Unit]\n"
    plan = make_plan(DirectoryGuest(guest(tmp_path, ("ena",), **more)), load_pack(), "aws-nitro")
    before, after = (
        next(one for one in way.steps if one.id == "network") for way in (plan.walk.before, plan.walk.after)
    )
    assert (before.outcome, before.seconds) == ("unknown", 120)
    assert (after.outcome, after.seconds) == ("passes", 0)


UNITS, ONLINE = "usr/lib/systemd/system", "etc/systemd/system/network-online.target.wants"
WAITING = {f"{ONLINE}/NetworkManager-wait-online.service": "[Unit]\n", NM: "[Unit]\n"}
NM_UNIT = f"{UNITS}/NetworkManager-wait-online.service"
BOUND = {
    PROFILE: "[connection]\nid=a\ntype=ethernet\ninterface-name=ens9\n[ipv4]\nmethod=manual\naddress1=192.0.2.9/24\n"
}
DHCP = {**IFUPDOWN, "sbin/dhclient": "", "etc/network/interfaces": "auto ens9\niface ens9 inet dhcp\n"}


@pytest.mark.parametrize(
    ("more", "seconds"),
    [
        ({**BOUND, **WAITING}, 60),
        ({**BOUND, **WAITING, NM_UNIT: "[Service]\nExecStart=/usr/bin/nm-online -s -q --timeout=30\n"}, 30),
        ({**BOUND, **WAITING, NM_UNIT: "[Service]\nEnvironment=NM_ONLINE_TIMEOUT=90\n"}, 90),
        ({**BOUND, **WAITING, f"etc/systemd/system/{NM_UNIT.rpartition('/')[2]}.d/x.conf":
          "[Service]\nTimeoutStartSec=2min\nExecStart=\nExecStart=/usr/bin/nm-online -s -q -t 300\n"}, 120),
        ({**BOUND, NM: "[Unit]\n"}, 0),
        ({**DHCP}, 60),
        ({**DHCP, "etc/dhcp/dhclient.conf": "# timeout 5;\ntimeout 300;\n"}, 300),
        ({**DHCP, "etc/init/failsafe.conf": "start on filesystem\n", "etc/init/networking.conf": ""}, 119),
    ],
)  # fmt: skip
def test_who_waits_and_for_how_long(tmp_path, more, seconds):
    options = Options(policies={"network": "preserve"})
    plan = make_plan(DirectoryGuest(guest(tmp_path, ("ena",), **more)), load_pack(), "aws-nitro", options)
    step = next(step for step in plan.walk.before.steps if step.id == "network")
    assert (step.outcome, step.seconds) == ("unknown", seconds)


OLD_NIC = "version: 2\nethernets:\n  a: {match: {macaddress: '00:50:56:00:00:01'}, dhcp4: true}\n"
CLOUD = {
    "usr/bin/cloud-init": "x",
    "usr/lib/cloud-init/ds-identify": "x",
    "etc/cloud/cloud.cfg": "a: 1\n",
    "var/lib/cloud/seed/nocloud/meta-data": "instance-id: i-1\n",
    "var/lib/cloud/seed/nocloud/network-config": OLD_NIC,
}


@pytest.mark.parametrize(("policy", "told"), [("auto", set()), ("keep", {"GF-CLOUD-INIT-NIC"})])
def test_a_seed_by_an_old_nic_s_address_is_no_quiet_pass(tmp_path, policy, told):
    tree = guest(tmp_path, ("virtio_net",), **CLOUD)
    options = Options(policies={"cloud_init_network": policy})
    plan = make_plan(DirectoryGuest(tree), load_pack(), "kvm-virtio", options)
    before, after = (
        next(one for one in way.steps if one.id == "network") for way in (plan.walk.before, plan.walk.after)
    )
    assert before.outcome != "passes" and "cloud-init is told of NICs" in str(before)
    assert ("cloud-init is told of NICs" in str(after)) == bool(told)
    assert {one.code for one in plan.findings if one.code in told or one.remedy.startswith("take the address")} == told
