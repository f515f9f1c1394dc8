"""The step network: the NIC's driver, its name, who may manage it, and what the boot waits for."""

from __future__ import annotations

from pathlib import Path

import pytest

from guestfix.backends.directory import DirectoryGuest
from guestfix.pack.cache import load_pack
from guestfix.plan.planner import make_plan
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
        assert next(step for step in plan.walk.after.steps if step.id == "network").outcome == "unknown"


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
