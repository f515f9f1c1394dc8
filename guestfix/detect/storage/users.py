"""Which of the guest's files name a device: mounts, encrypted volumes, LVM, arrays, and applications on raw disks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from guestfix.base.facts import Evidence
from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex
from guestfix.detect.files import paths_like, read_small
from guestfix.formats.storage import devices
from guestfix.formats.storage.fstab import lines, show

FILES = (
    "/etc/fstab", "/etc/crypttab", "/etc/lvm/lvm.conf", "/etc/lvm/lvmlocal.conf", "/etc/mdadm.conf",
    "/etc/mdadm/mdadm.conf", "/etc/multipath.conf", "/etc/systemd/system/*.mount", "/etc/systemd/system/*.swap",
    "/etc/systemd/system/*.service", "/etc/default/grub", "/boot/grub*/grub.cfg", "/boot/grub/menu.lst",
    "/boot/loader/entries/*.conf", "/etc/sysconfig/oracleasm*", "/etc/sysconfig/rawdevices", "/etc/oratab",
    "/u01/app/*/product/*/dbhome_*/dbs/init*.ora", "/opt/oracle/product/*/dbhome_*/dbs/init*.ora", "/etc/afd.conf",
    "/etc/drbd.d/*.res", "/etc/drbd.conf", "/etc/tgt/conf.d/*.conf", "/etc/target/saveconfig.json", "/etc/scst.conf",
    "/etc/ceph/ceph.conf", "/etc/zfs/vdev_id.conf", "/etc/my.cnf", "/etc/mysql/my.cnf", "/etc/smartd.conf",
    "/etc/libvirt/qemu/*.xml", "/etc/bacula/*.conf", "/etc/bareos/*.conf", "/etc/sysconfig/sbd", "/etc/default/sbd",
    "/etc/rc.local", "/etc/rc.d/rc.local",
)  # fmt: skip
"""Known places; Oracle's are those of its installer's defaults."""

MOST_FILES, MOST_LINES = 32, 20
_NAME = regex(r"/dev/[^\s\"'|,;()<>]+")
_REGEX = regex(r"[.*\[\\$?]")


def users_of(guest: GuestFS, patterns: Sequence[str]) -> list[Evidence]:
    """Return where a device is named that one of the patterns matches; of the line no more than that name."""
    found = []
    for path in (path for one in FILES for path in paths_like(guest, one, MOST_FILES)):
        data = read_small(guest, path) or b""
        if b"/dev/" in data:
            found += [Evidence(path, number, text) for number, text in _names(data, patterns)]
    return found[:MOST_LINES]


def _names(data: bytes, patterns: Sequence[str]) -> Iterator[tuple[int, str]]:
    for number, _, raw in lines(data):
        words = _NAME.findall(raw.decode("utf-8", "replace")) if b"/dev/" in raw else []
        meant = next((word for word in words if _means(word, patterns)), "")
        if meant:
            yield number, show(meant.encode())


def _means(word: str, patterns: Sequence[str]) -> bool:
    """Tell whether a name, or a regular expression or glob of names, means what one of the patterns matches."""
    if any(devices.matches(word, one) for one in patterns):
        return True
    begin = _REGEX.split(word)[0]
    return begin != word and len(begin) > len("/dev/x") and any(one.startswith(begin) for one in patterns)
