"""Debian guests of old platforms: each with the packages for it in Debian's archive, set up as its images are."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tests.build import debian
from tests.e2e import vm

SETS = {
    "vmware": ("open-vm-tools",),
    "hyperv": ("hyperv-daemons", "chrony"),
    "azure": ("waagent", "hyperv-daemons", "cloud-init", "chrony"),
    "google": ("google-guest-agent", "google-compute-engine-oslogin", "chrony"),
    "aws": ("amazon-ec2-net-utils", "amazon-ec2-utils", "cloud-init", "chrony"),
}
"""What comes from Debian's archive. It has no guest agent for Xen; the Xen guest has the maker's files instead."""

PACKAGES = tuple(dict.fromkeys(name for names in SETS.values() for name in names))
PROBE = """[Unit]
Description=Say how the start went
After=multi-user.target
[Service]
Type=exec
ExecStart=/bin/sh -c 'S=$(systemctl is-system-running --wait); exec >/dev/ttyS0; echo; echo "PROBE state $S"; \\
systemctl --failed --no-legend --plain | sed "s/^/PROBE failed /"; \\
systemctl list-jobs --no-legend | sed "s/^/PROBE job /"; systemd-analyze | sed "s/^/PROBE /"; echo "PROBE end"'
[Install]
WantedBy=multi-user.target
"""
"""A unit of the test's own: what systemd says of the start, on the serial port."""

NIC = "auto lo ens192\niface lo inet loopback\niface ens192 inet static\n\taddress 192.0.2.7/24\n\tgateway 192.0.2.1\n"
CHRONY = "driftfile /var/lib/chrony/chrony.drift\nmakestep 1 3\nrtcsync\n"
XEN = """[Unit]
Description=Linux Guest Agent
ConditionVirtualization=xen
[Service]
ExecStartPre=/usr/share/oem/xs/xe-linux-distribution /var/cache/xe-linux-distribution
ExecStart=/usr/sbin/xe-daemon
[Install]
WantedBy=multi-user.target
"""
WANTS = "etc/systemd/system/multi-user.target.wants"


@dataclass(frozen=True)
class Guest:
    """A guest: its platform, further files, links, and lines of fstab."""

    platform: str
    files: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    fstab: str = ""


GUESTS = (
    Guest("vmware"),
    Guest("hyperv", {"etc/chrony/chrony.conf": f"refclock PHC /dev/ptp_hyperv poll 3 dpoll -2 offset 0\n{CHRONY}"}),
    Guest(
        "azure",
        {
            "etc/chrony/chrony.conf": f"refclock PHC /dev/ptp_hyperv poll 3 dpoll -2 offset 0\n{CHRONY}",
            "etc/cloud/cloud.cfg.d/91-azure_datasource.cfg": "datasource_list: [ Azure ]\n",
            "etc/cloud/ds-identify.cfg": "datasource: Azure\n",
        },
        fstab="/dev/disk/cloud/azure_resource-part1 /mnt auto "
        "defaults,nofail,x-systemd.requires=cloud-init.service,_netdev,comment=cloudconfig 0 2\n",
    ),
    Guest("google", {"etc/chrony/chrony.conf": f"server metadata.google.internal prefer iburst\n{CHRONY}"}),
    Guest(
        "aws",
        {
            "etc/chrony/chrony.conf": f"server 169.254.169.123 prefer iburst minpoll 4 maxpoll 4\n{CHRONY}",
            "etc/cloud/cloud.cfg.d/90_ec2.cfg": "datasource_list: [ Ec2 ]\n",
        },
    ),
    Guest(
        "xen",
        {"usr/lib/systemd/system/xe-linux-distribution.service": XEN.replace("ConditionVirtualization=xen\n", "")},
        {f"{WANTS}/xe-linux-distribution.service": "/usr/lib/systemd/system/xe-linux-distribution.service"},
    ),
)


def root_of(guest: Guest, folder: Path) -> Path:
    """Return the guest's root: the archive's packages of its platform, and none of another's."""
    own = SETS.get(guest.platform, ())
    root = debian.unpack(debian.with_packages(PACKAGES), folder)
    with debian.nothing_starts(root):
        vm.run("chroot", root, "dpkg", "--purge", *(name for name in PACKAGES if name not in own))
    files = {
        "etc/hostname": "debian\n",
        "etc/fstab": f"/dev/sda2 / ext4 errors=remount-ro 0 1\n/dev/sda1 none swap sw 0 0\n{guest.fstab}",
        "etc/network/interfaces": NIC,
        "etc/default/grub": 'GRUB_DEFAULT=0\nGRUB_TIMEOUT=1\nGRUB_CMDLINE_LINUX=""\n',
        "boot/grub/grub.cfg": vm.grub_cfg(vm.kernel_of(root), "/dev/sda2"),
        "etc/systemd/system/probe.service": PROBE,
        **guest.files,
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for name, target in {f"{WANTS}/probe.service": "/etc/systemd/system/probe.service", **guest.links}.items():
        (root / name).symlink_to(target)
    return root
