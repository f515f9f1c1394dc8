"""A rule finds its entry also below the lines that rules before it put in."""

from __future__ import annotations

from tests.build.boots import UUID, repaired

KERNEL = "vmlinuz-2.6.32-754.el6.x86_64"
GUEST = {
    "etc/redhat-release": "CentOS release 6.9 (Final)\n",
    "etc/fstab": f"UUID={UUID} / ext4 defaults 1 1\n",
    f"boot/{KERNEL}": "kernel",
    "boot/grub/stage2": "",
}


def test_a_password_is_taken_from_the_entry_that_had_it(tmp_path):
    """A menu without a timeout gets one, so that each line below moves by one."""
    entry = f"title CentOS\n\tkernel /boot/{KERNEL} root=UUID={UUID} ro\n\tlock\n"
    menu = f"default=1\npassword secret\ntitle Other\n\tlock\n\tkernel /boot/gone\n{entry}"
    found = repaired(tmp_path, GUEST | {"boot/grub/grub.conf": menu}, "kvm-virtio")
    after = found.text("boot/grub/grub.conf")
    assert after.startswith("timeout=")
    assert "#\tlock" in after.split("title CentOS")[1] and "#" not in after.split("title CentOS")[0]
    assert found.step("entry", after=False) == "stops" and found.step("entry") == "passes"
    assert not found.again.changes
