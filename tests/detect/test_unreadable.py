"""Any look-up in a guest may fail: detection continues without it and raises nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from guestfix.base.errors import SymlinkLoop, TooLarge, Unreadable
from guestfix.base.facts import Facts
from guestfix.compat import judge
from guestfix.detect.boot import kernels
from guestfix.detect.limits import checks as limits
from guestfix.detect.services import access as services
from guestfix.detect.system import os as os_detector
from guestfix.pack.cache import load_pack
from guestfix.pack.model import Target
from tests.build.detection import detect_all
from tests.build.failing import Failing
from tests.build.systems import SYSTEMS, release_files
from tests.build.tree import build, bzimage, elf

OWN = (kernels, services, limits)
TARGET = Target("t", "t", firmware=("bios",))


def detect(root: Path, fails_at: int, error: type[Exception] = Unreadable) -> tuple[Failing, Facts]:
    guest, facts = Failing(str(root)), Facts()
    guest.fails_at, guest.error = fails_at, error
    os_detector.detect(guest, facts, SYSTEMS)
    for module in OWN:
        module.detect(guest, facts, TARGET)
    judge(SYSTEMS, facts)
    return guest, facts


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    release = "5.14.0-427.el9.x86_64"
    files: dict[str, object] = {
        **release_files("rhel", "9.4"),
        "usr/bin/sh": elf(),
        "bin": ("link", "usr/bin"),
        f"boot/vmlinuz-{release}": bzimage(release),
        "boot/vmlinuz": ("link", f"vmlinuz-{release}"),
        f"boot/initramfs-{release}.img": "",
        "boot/loader/entries/a.conf": f"linux /vmlinuz-{release}\n",
        f"lib/modules/{release}/modules.dep": "",
        "usr/lib/systemd/system/firewalld.service": "",
        "etc/systemd/system/x.wants/firewalld.service": ("link", "/usr/lib/systemd/system/firewalld.service"),
        "etc/firewalld/zones/public.xml": '<zone><service name="ssh"/></zone>',
        "etc/firewalld/services/ssh.xml": '<port protocol="tcp" port="22"/>',
        "etc/ssh/sshd_config": "Include /etc/ssh/sshd_config.d/*.conf\n",
        "etc/ssh/sshd_config.d/a.conf": "Port 22\n",
        "etc/passwd": "alice:x:1000:1000::/home/alice:/bin/sh\n",
        "home/alice/.ssh/authorized_keys": "ssh-rsa A\n",
        "old/etc/os-release": "ID=x\n",
        "var/log/wtmp": bytes(384),
    }
    return build(tmp_path_factory.mktemp("guest"), files)


def test_the_tree_is_read_in_many_look_ups(tree: Path) -> None:
    guest, facts = detect(tree, 0)
    assert guest.calls > 100
    assert facts.value("kernel.default") == "5.14.0-427.el9.x86_64"
    assert facts.value("users.with_key") == ["alice"]


@pytest.mark.parametrize("error", [Unreadable, TooLarge, SymlinkLoop])
def test_any_single_look_up_may_fail(tree: Path, error: type[Exception]) -> None:
    calls = detect(tree, 0)[0].calls
    for number in range(1, calls + 1):
        detect(tree, number, error)


def test_all_of_them_may_fail(tree: Path) -> None:
    _, facts = detect(tree, -1)
    assert facts.value("os.id") is None


GUESTS = sorted((Path(__file__).resolve().parents[2] / "testdata/guests").glob("*/root"))


@pytest.mark.parametrize("root", GUESTS, ids=lambda path: path.parent.name)
def test_every_detector_goes_on(root: Path) -> None:
    """Every eleventh look-up fails, one a run, with all detectors at work."""
    target = load_pack().targets["kvm-virtio"]
    number, calls = 1, 1
    while number <= calls:
        guest = Failing(str(root))
        guest.fails_at = number
        detect_all(guest, Facts(), target, SYSTEMS)
        calls = max(calls, guest.calls)
        number += 11
    assert calls > 200
