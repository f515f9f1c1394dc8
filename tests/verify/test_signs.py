"""What a console's lines mean, and that no line of a hostile guest costs more than itself."""

from __future__ import annotations

import time

import pytest

from guestfix.verify.signs import HEAD, TAIL, Log, Reader

GRUB = "\x1b[2J\x1b[01;01HGRUB loading.\r\nWelcome to GRUB!\r\n\r\n"
MENU = (
    "\x1b[2;30HGNU GRUB  version 2.06-13+deb12u1\x1b[5;3H*Debian GNU/Linux\n"
    "\x1b[20;1H      Use the ^ and v keys to select which entry is highlighted.\r\n"
)
BOOTS = "  Booting `Debian GNU/Linux'\r\n\r\nLoading Linux 6.1.0-50-amd64 ...\r\nLoading initial ramdisk ...\r\n"
KERNEL = "[    0.000000] Linux version 6.1.0-50-amd64 (debian-kernel@lists.debian.org)\r\n"
DISK = "[    4.158466] virtio_blk virtio1: [vda] 4628480 512-byte logical blocks (2.37 GB/2.21 GiB)\r\n"
INIT = "\r\nWelcome to \x1b[1mDebian GNU/Linux 12 (bookworm)\x1b[0m!\r\n\r\n"
LOCAL = "[\x1b[0;32m  OK  \x1b[0m] Reached target \x1b[0;1;39mlocal-fs.target\x1b[0m - Local File Systems.\r\n"
LOGIN = "\r\nDebian GNU/Linux 12 debian ttyS0\r\n\r\ndebian login: "
ALERT = "ALERT!  UUID=6b1f1a52 does not exist.  Dropping to a shell!\r\n"


def read(*parts: str, wait: float = 100.0) -> Reader:
    reader = Reader()
    for second, part in enumerate(parts, 1):
        reader.feed(part, float(second))
    reader.ended = reader.stop(len(parts) + wait)  # type: ignore[attr-defined]
    return reader


def test_a_whole_boot_is_seen_sign_by_sign():
    reader = read(GRUB, MENU, BOOTS, KERNEL, DISK, INIT, LOCAL, LOGIN)
    order = ["loader", "menu", "entry", "kernel", "disks", "init", "local-fs", "login"]
    assert [(one.name, one.seconds) for one in reader.marks.values()] == list(zip(order, range(1, 9), strict=True))
    assert reader.stop(1000) is None and reader.idle() is None


@pytest.mark.parametrize("size", [1, 7])
def test_pieces_of_any_size_are_read_alike(size):
    text = GRUB + MENU + BOOTS + KERNEL + DISK + INIT + LOCAL + LOGIN
    reader = Reader()
    for at in range(0, len(text), size):
        reader.feed(text[at : at + size], 1.0)
    assert {"loader", "menu", "entry", "kernel", "disks", "init", "local-fs", "login"} <= set(reader.marks)


STOPS = [
    ("No bootable device.  Retrying in 60 seconds.\r\n", "firmware"),
    ("BdsDxe: No bootable option or device was found.\r\n", "firmware"),
    ('BdsDxe: failed to start Boot0002 "EFI Internal Shell" from Fv(7CB8): Security Violation\r\n'
     "BdsDxe: No bootable option or device was found.\r\n", "firmware"),
    ("BdsDxe: failed to load Boot0001: Security Violation\r\nBdsDxe: No bootable option or device was found.\r\n",
     "loader"),
    ("UEFI Interactive Shell v2.2\r\nShell> ", "firmware"),
    (GRUB + "error: unknown filesystem.\r\nEntering rescue mode...\r\ngrub rescue> ", "loader"),
    (GRUB + "\r\ngrub> ", "loader"),
    (GRUB + "GNU GRUB  version 2.06\r\n   Minimal BASH-like line editing is supported.\r\n\r\ngrub>", "loader"),
    (GRUB + MENU + "Enter username:\r\n", "entry"),
    (GRUB + BOOTS + "error: file `/boot/vmlinuz-6.1' not found.\r\nerror: you need to load the kernel first.\r\n",
     "kernel"),
    (GRUB + BOOTS + KERNEL + "[    3.0] Kernel panic - not syncing: VFS: Unable to mount root fs on "
     "unknown-block(0,0)\r\n", "initramfs"),
    (GRUB + BOOTS + KERNEL + ALERT + "\r\n(initramfs) ", "initramfs"),
    (GRUB + BOOTS + KERNEL + DISK + ALERT + "\r\n(initramfs) ", "root"),
    (KERNEL + DISK + "Warning: dracut-initqueue: timeout, still waiting for following initqueue hooks:\r\n", "root"),
    (KERNEL + "[  200.1] dracut-initqueue[300]: Warning: dracut-initqueue: timeout, still waiting\r\n", "initramfs"),
    (KERNEL + DISK + INIT + "You are in emergency mode. After logging in, type ...\r\n", "mounts"),
    (KERNEL + DISK + INIT + "Cannot open access to console, the root account is locked.\r\n", "mounts"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "step"), STOPS, ids=lambda value: value[-40:].strip() if len(value) > 12 else value)
def test_a_stop_is_told_with_its_step(text, step):
    assert read(text).ended.step == step


PRE = "[  OK  ] Reached target local-fs-pre.target - Preparation for Local File Systems.\r\n"


def test_what_comes_before_the_mounts_is_not_taken_for_them():
    stop = read(KERNEL, DISK, INIT, PRE, "[  OK  ] Reached target Local File Systems (Pre).\r\n", "emergency mode\r\n")
    assert "local-fs" not in stop.marks
    assert read(KERNEL + DISK + INIT + PRE + "You are in emergency mode.\r\n").ended.step == "mounts"


def test_a_guest_that_starts_again_stands_at_the_step_after_its_last_sign():
    assert [read(*parts).here for parts in ((), (GRUB,), (GRUB, MENU), (GRUB, MENU, BOOTS), (KERNEL,))] == [
        "firmware", "loader", "entry", "kernel", "initramfs"
    ]  # fmt: skip


def test_without_a_kernel_that_speaks_a_missing_root_may_be_of_two_steps():
    stop = read(GRUB + BOOTS + ALERT).ended
    assert (stop.step, stop.also) == ("root", ("initramfs",))


def test_what_comes_later_takes_a_stop_back():
    """GRUB says that a file is not found, and boots the fallback entry."""
    reader = read(GRUB + BOOTS + "error: file `/boot/vmlinuz-6.1' not found.\r\n", wait=5)
    assert reader.ended is None
    reader.feed(KERNEL, 10.0)
    assert reader.stop(1000) is None


def test_a_hibernation_volume_that_is_gone_ends_no_boot():
    reader = read(KERNEL, DISK, "Gave up waiting for suspend/resume device\r\n")
    assert reader.ended is None


def test_a_menu_that_goes_no_further_is_told_as_the_entry():
    assert read(GRUB, MENU).idle().step == "entry"


def test_units_that_failed_and_devices_that_were_waited_for_are_named():
    reader = read(
        INIT + "[\x1b[0;1;31mFAILED\x1b[0m] Failed to start \x1b[0;1;39mssh.service\x1b[0m - OpenBSD Secure Shell "
        "server.\r\n[\x1b[0;1;31m TIME \x1b[0m] Timed out waiting for device \x1b[0;1;39m/dev/sdb1\x1b[0m.\r\n"
    )
    assert list(reader.failed) == ["ssh.service - OpenBSD Secure Shell server"]
    assert list(reader.waited) == ["/dev/sdb1"]


def test_an_escape_sequence_that_systemd_cut_is_no_part_of_a_name():
    reader = read("[\x1b[0;1;31m TIME \x1b[0m] Timed out waiting for device \x1b[0;1;\u20260d6f6a1aaaaa.\r\n")
    assert list(reader.waited) == ["\u20260d6f6a1aaaaa"]


def test_a_unit_is_named_once_its_line_is_whole():
    reader = read("[FAILED] Failed to start netw", "orking.service - Raise network interfaces.\r\n")
    assert list(reader.failed) == ["networking.service - Raise network interfaces"]


def test_what_only_counts_up_is_no_progress():
    reader = Reader()
    reader.feed("[ ***  ] A start job is running for /dev/sdb1 (5s / 1min 30s)\r", 5.0)
    reader.feed("[  *** ] A start job is running for /dev/sdb1 (6s / 1min 30s)\r", 6.0)
    assert reader.progress == 5.0


HOSTILE = [
    "A" * 3_000_000,
    "\n" * 1_000_000,
    "\x1b[" * 500_000,
    "\x1b[1;1H" * 200_000,
    "[FAILED] Failed to start " * 60_000,
    "".join(f"[FAILED] Failed to start {n}.\n" for n in range(20_000)),
    "Welcome to " * 100_000 + "\n" + "a login:" * 100_000,
    "\x1b]0;title\x07" + "login: " * 100_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_console_costs_little(text):
    reader, log, begun = Reader(), Log(), time.process_time()
    for at in range(0, len(text), 65536):
        log.add(text[at : at + 65536])
        reader.feed(text[at : at + 65536], 1.0)
    assert time.process_time() - begun < 10
    assert len(log.text) <= HEAD + TAIL + 100 and len(reader.failed) <= 50


def test_a_log_keeps_the_begin_and_the_end():
    log = Log()
    log.add("begin" + "x" * 2_000_000 + "end")
    assert log.text.startswith("begin") and log.text.endswith("end") and log.dropped == 2_000_008 - HEAD - TAIL


EARLY = (
    "[    0.000000] Linux version 6.1.0-50-amd64\n[    4.4] systemd[1]: Running in initrd.\n"
    "Welcome to Debian GNU/Linux 12 (bookworm) dracut-059-4 (Initramfs)!\n"
    "[    4.5] systemd[1]: Hostname set to <debian>.\n"
    "[    6.0] systemd[1]: Reached target local-fs.target - Local File Systems.\n"
)
"""What dracut's systemd says before there is a root."""


@pytest.mark.parametrize("lead", ["", "[    0.1] systemd[1]: Running in initial RAM disk.\n"])
def test_an_initramfs_own_systemd_is_not_the_roots(lead):
    reader = Reader()
    reader.feed(lead + EARLY, 20.0)
    assert set(reader.marks) == {"kernel"}
    assert (stop := reader.idle()) is not None and stop.step == "initramfs"


def test_the_roots_systemd_is_seen_after_that_of_an_initramfs():
    reader = Reader()
    reader.feed(EARLY, 20.0)
    reader.feed("Welcome to Debian GNU/Linux 12 (bookworm)!\n", 30.0)
    reader.feed("[  OK  ] Reached target local-fs.target - Local File Systems.\n", 31.0)
    assert (reader.marks["init"].seconds, reader.marks["local-fs"].seconds) == (30.0, 31.0)
