"""What stands behind /etc counts too: units, networkd's files and udev's rules of images; and the lists of daemons."""

from __future__ import annotations

from pathlib import Path

import pytest

from guestfix.apply.apply import apply_plan
from guestfix.backends import open_guest
from guestfix.base.guest import GuestFS
from guestfix.pack.cache import load_pack
from guestfix.plan.model import Plan
from guestfix.plan.planner import Options, make_plan
from tests.build.tree import build

ROOT, GONE = "5cb2a1d6-6bde-4d51-8c39-3a1f1fb2a5a1", "0aa1f2a4-3f46-4a4e-9b3c-8a7b8b5e9a10"
K = "6.1.0-18-amd64"
DISKS = f"disks:\n  - device: /dev/sda\n    partitions:\n      - {{device: /dev/sda1, fstype: ext4, uuid: {ROOT}}}\n"
UNIT, WANTS, OWN = "usr/lib/systemd/system", "etc/systemd/system/multi-user.target.wants", "etc/systemd/system"
STATIC = "[Match]\nName=ens192\n[Network]\nAddress=192.0.2.7/24\nGateway=192.0.2.1\n"
PROFILE = "[connection]\nid=lan\ntype=ethernet\n[ipv4]\nmethod=auto\n"


def on(*units: str) -> dict[str, object]:
    return {
        **{f"{UNIT}/{one}.service": "" for one in units},
        **{f"{WANTS}/{one}.service": ("link", f"/{UNIT}/{one}.service") for one in units},
    }


def guest(tmp_path: Path, files: dict[str, object]) -> GuestFS:
    tree = {
        "etc/os-release": 'ID=debian\nVERSION_ID="12"\n',
        "etc/fstab": f"UUID={ROOT} / ext4 defaults 0 1\n",
        "boot/grub/grub.cfg": f"menuentry x {{\n linux /boot/vmlinuz-{K} root=UUID={ROOT} ro\n}}\n",
        f"boot/vmlinuz-{K}": "x",
        f"{UNIT}/local-fs.target": "",
        "usr/lib/udev/rules.d/80-net-setup-link.rules": "",
        **files,
    }
    (tmp_path / "disks.yaml").write_text(DISKS)
    return open_guest(str(build(tmp_path / "root", tree)), disks=str(tmp_path / "disks.yaml"))


def plan_of(tmp_path: Path, files: dict[str, object], **policies: str) -> Plan:
    return make_plan(guest(tmp_path, files), load_pack(), "kvm-virtio", Options(policies=policies))


def ends(plan: Plan, step: str) -> tuple[str, str]:
    both = (plan.walk.before, plan.walk.after)
    before, after = (next(one.outcome for one in walk.steps if one.id == step) for walk in both)
    return before, after


MOUNT = f"[Mount]\nWhat=/dev/disk/by-uuid/{GONE}\nWhere=/srv\n"
NEEDS = "[Unit]\nRequires=dev-sda5.device\nAfter=dev-sda5.device\n"
UNITS: dict[str, tuple[dict[str, object], str, str, str]] = {
    "a mount of the image": (
        {f"{UNIT}/srv.mount": MOUNT, f"{UNIT}/local-fs.target.requires/srv.mount": ("link", "../srv.mount")},
        "stops", "passes", f"/{OWN}/srv.mount"),
    "a mount of a site's package": (
        {"usr/local/lib/systemd/system/srv.mount": MOUNT,
         f"{OWN}/local-fs.target.requires/srv.mount": ("link", "/usr/local/lib/systemd/system/srv.mount")},
        "stops", "passes", f"/{OWN}/local-fs.target.requires/srv.mount"),
    "a mount of the image that is masked": (
        {f"{UNIT}/srv.mount": MOUNT, f"{UNIT}/local-fs.target.requires/srv.mount": ("link", "../srv.mount"),
         f"{OWN}/srv.mount": ("link", "/dev/null")}, "passes", "passes", ""),
    "a mount of the image that /etc says otherwise": (
        {f"{UNIT}/srv.mount": MOUNT, f"{UNIT}/local-fs.target.requires/srv.mount": ("link", "../srv.mount"),
         f"{OWN}/srv.mount": MOUNT.replace(GONE, ROOT)}, "passes", "passes", ""),
    "a swap area that is gone": (
        {f"{OWN}/dev-sda5.swap": "[Swap]\nWhat=/dev/sda5\n",
         f"{OWN}/swap.target.wants/dev-sda5.swap": ("link", "../dev-sda5.swap")},
        "waits", "passes", f"/{OWN}/swap.target.wants/dev-sda5.swap"),
    "a target that each boot reaches": ({f"{OWN}/local-fs.target.d/x.conf": NEEDS}, "stops", "stops", ""),
    "the same in a drop-in of the image": ({f"{UNIT}/local-fs.target.d/x.conf": NEEDS}, "stops", "stops", ""),
    "a drop-in that /etc hides": (
        {f"{UNIT}/local-fs.target.d/x.conf": NEEDS, f"{OWN}/local-fs.target.d/x.conf": "[Unit]\n"},
        "passes", "passes", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", UNITS)
def test_units_behind_the_administrator_s_own(tmp_path: Path, name: str) -> None:
    files, before, after, changed = UNITS[name]
    plan = plan_of(tmp_path, files)
    assert ends(plan, "mounts") == (before, after)
    assert changed in {one.path for one in plan.changes} if changed else not plan.changes or after == before
    assert bool(plan.blockers) == (after == "stops")


LEFT = "[Match]\nType=ether\n[Link]\nUnmanaged=yes\n"
NETWORKD = on("systemd-networkd")
FILES: dict[str, tuple[dict[str, object], str]] = {
    "a drop-in": ({"etc/systemd/network/10.network": STATIC,
                   "usr/lib/systemd/network/10.network.d/x.conf": "[Link]\nUnmanaged=yes\n"},
                  "/etc/systemd/network/10.network.d/x.conf"),
    "a drop-in that refuses routes": (
        {"etc/systemd/network/10.network": STATIC,
         "usr/local/lib/systemd/network/10.network.d/x.conf": "[DHCPv4]\nUseGateway=no\nUseDNS=no\n"},
        "/etc/systemd/network/10.network.d/x.conf"),
    "a file that takes the NIC first": ({"etc/systemd/network/10.network": STATIC,
                                         "usr/lib/systemd/network/00.network": LEFT},
                                        "/etc/systemd/network/00.network"),
    "an address of the image's": ({"usr/lib/systemd/network/20-site.network": STATIC},
                                  "/etc/systemd/network/20-site.network"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_networkd_s_files_behind_its_own(tmp_path: Path, name: str) -> None:
    files, changed = FILES[name]
    place = guest(tmp_path, {**NETWORKD, **files})
    plan = make_plan(place, load_pack(), "kvm-virtio")
    assert changed in {one.path for one in plan.changes} and ends(plan, "network")[1] == "passes"
    apply_plan(place, plan)
    assert make_plan(place, load_pack(), "kvm-virtio").changes == ()


def test_what_systemd_ships_for_containers_is_left_alone(tmp_path: Path) -> None:
    shipped = "[Match]\nKind=veth\nName=host0\n[Network]\nDHCP=yes\n"
    files = {**NETWORKD, "usr/lib/systemd/network/80-container-host0.network": shipped,
             "usr/lib/systemd/network/70-bridge.network": "[Match]\nName=br7\nKind=bridge\n[Network]\nDHCP=no\n",
             "etc/systemd/network/10.network": STATIC}  # fmt: skip
    plan = plan_of(tmp_path, files)
    assert [one.path for one in plan.changes if "network" in one.path] == ["/etc/systemd/network/10.network"]


RULE = 'SUBSYSTEM=="net", ENV{ID_NET_DRIVER}=="virtio_net", ENV{NM_UNMANAGED}="1"\n'


@pytest.mark.parametrize(
    ("files", "before"),
    [
        ({"usr/lib/udev/rules.d/99-site.rules": RULE}, "stops"),
        ({"usr/lib/udev/rules.d/99-site.rules": RULE, "etc/udev/rules.d/99-site.rules": "# nothing\n"}, "passes"),
        ({"usr/lib/udev/rules.d/85-nm-unmanaged.rules": RULE}, "passes"),
    ],
)
def test_a_udev_rule_of_the_image_that_keeps_networkmanager_away(
    tmp_path: Path, files: dict[str, object], before: str
) -> None:
    more = {**on("NetworkManager"), "etc/NetworkManager/system-connections/lan.nmconnection": PROFILE, **files}
    plan = plan_of(tmp_path, more)
    assert ends(plan, "network") == (before, "passes")
    assert ("/etc/udev/rules.d/99-site.rules" in {one.path for one in plan.changes}) == (before == "stops")


LIST = "[General]\nNetworkInterfaceBlacklist"
DHCPCD, CONNMAN = "etc/dhcpcd.conf", "etc/connman/main.conf"
DAEMONS: dict[str, tuple[str, str, str, str]] = {
    "dhcpcd": ("dhcpcd", DHCPCD, "hostname\n", "passes"),
    "dhcpcd that denies all": ("dhcpcd", DHCPCD, "denyinterfaces e*\n", "stops"),
    "dhcpcd that denies others": ("dhcpcd", DHCPCD, "denyinterfaces veth* docker0\n", "passes"),
    "dhcpcd that allows the old one": ("dhcpcd", DHCPCD, "allowinterfaces ens192\n", "stops"),
    "dhcpcd that allows any": ("dhcpcd", DHCPCD, "allowinterfaces eth* en*\n", "passes"),
    "dhcpcd with an address of the old one": (
        "dhcpcd", DHCPCD, "interface ens192\nstatic ip_address=192.0.2.7/24\n", "passes"),
    "dhcpcd with an address of any": ("dhcpcd", DHCPCD, "static ip_address=192.0.2.7/24\n", "unknown"),
    "connman": ("connman", CONNMAN, "[General]\n", "passes"),
    "connman that leaves wired NICs": ("connman", CONNMAN, f"{LIST}=vmnet,en,eth\n", "stops"),
    "connman that leaves virtual ones": ("connman", CONNMAN, f"{LIST}=vmnet,vboxnet\n", "passes"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAEMONS)
def test_a_daemon_that_needs_no_profile(tmp_path: Path, name: str) -> None:
    program, path, text, outcome = DAEMONS[name]
    plan = plan_of(tmp_path, {**on(program), path: text})
    assert ends(plan, "network") == (outcome, outcome)
    assert bool([one for one in plan.blockers if one.code == "GF-NETWORK-UNMANAGED"]) == (outcome == "stops")


def test_names_that_may_be_the_kernel_s_are_not_taken_for_refused(tmp_path: Path) -> None:
    files: dict[str, object] = {**on("dhcpcd"), DHCPCD: "allowinterfaces eth0\n"}
    built = guest(tmp_path, files)
    (tmp_path / "root/usr/lib/udev/rules.d/80-net-setup-link.rules").unlink()
    assert ends(make_plan(built, load_pack(), "kvm-virtio"), "network") == ("passes", "passes")


PORTS = {
    "a bond": "auto bond0\niface bond0 inet static\n bond-slaves ens192 ens224\n address 192.0.2.7/24\n",
    "a bridge": "auto br0\niface br0 inet static\n bridge_ports ens192\n address 192.0.2.7/24\n gateway 192.0.2.1\n",
    "a VLAN of a bond": "auto bond0\niface bond0 inet manual\n bond-slaves ens192\nauto bond0.5\n"
    "iface bond0.5 inet static\n address 192.0.2.7/24\n gateway 192.0.2.1\n",
}


@pytest.mark.parametrize("name", PORTS)
@pytest.mark.parametrize("policy", ["dhcp-first", "preserve"])
def test_ports_that_no_stanza_configures_keep_their_names(tmp_path: Path, name: str, policy: str) -> None:
    files = {**on("networking"), "sbin/dhclient": "", "etc/network/interfaces": PORTS[name]}
    plan = plan_of(tmp_path, files, network=policy)
    (rules,) = [one.diff for one in plan.changes if one.path == "/etc/udev/rules.d/70-guestfix-net.rules"]
    assert 'NAME="ens192"' in rules and ('NAME="ens224"' in rules) == ("ens224" in PORTS[name])
    if policy == "dhcp-first":
        assert ends(plan, "network")[1] == "passes"


def test_a_bridge_of_no_nic_gets_none(tmp_path: Path) -> None:
    text = "auto br0\niface br0 inet static\n bridge_ports none\n address 10.0.0.1/24\n"
    plan = plan_of(tmp_path, {**on("networking"), "etc/network/interfaces": text}, network="preserve")
    assert not [one for one in plan.changes if one.path.endswith("guestfix-net.rules")]
