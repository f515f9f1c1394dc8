"""Who mounts the table at boot: told by files, else by the release."""

import pytest

from guestfix.backends.directory import DirectoryGuest
from guestfix.base.facts import Facts
from guestfix.detect.storage.fstab import find_init
from guestfix.detect.system.os import put_system
from tests.build.systems import SYSTEMS
from tests.build.tree import build


@pytest.mark.parametrize(
    ("ident", "version", "init"),
    [
        ("debian", "12", "systemd"), ("debian", "7.8", "sysv"), ("rhel", "6.10", "sysv"), ("rhel", "7.0", "systemd"),
        ("rhel", "10.0", "systemd"), ("ubuntu", "14.04", "mountall"), ("ubuntu", "22.04", "systemd"),
        ("sles", "11 SP4", "sysv"),
        ("sles", "15 SP4", "systemd"), ("amzn", "2018.03", "sysv"), ("amzn", "2", "systemd"),
        ("amzn", "2023", "systemd"),
        ("unheard-of", "2.14", "unknown"), ("debian", None, "unknown"), (None, None, "unknown"),
    ],
)  # fmt: skip
def test_by_release(tmp_path, ident, version, init):
    facts = Facts()
    facts.put("os.id", ident)
    facts.put("os.version", version)
    put_system(facts, SYSTEMS)
    assert find_init(DirectoryGuest(str(tmp_path)), facts) == init


def test_files_count_more_than_the_release(tmp_path):
    facts = Facts()
    facts.put("os.id", "debian")
    facts.put("os.version", "12")
    guest = DirectoryGuest(str(build(tmp_path / "g", {"etc/inittab": "", "etc/os-release": ""})))
    assert find_init(guest, facts) == "sysv"
