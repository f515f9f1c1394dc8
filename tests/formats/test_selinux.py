"""Labels from a guest's file_contexts: the last match counts, and hostile patterns cost nothing."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestfix.formats.selinux import label_for, policy_type

CONTEXTS = rb"""# a comment
/.*	system_u:object_r:default_t:s0
/etc(/.*)?	system_u:object_r:etc_t:s0
/etc/fstab.*	--	system_u:object_r:fstab_t:s0
/etc/systemd/system(/.*)?	system_u:object_r:systemd_unit_file_t:s0
/etc/udev/rules\.d(/.*)?	system_u:object_r:udev_rules_t:s0
/etc/mtab	-l	system_u:object_r:mtab_link_t:s0
/proc/.*	<<none>>
"""


@pytest.mark.parametrize(
    ("path", "kind", "label"),
    [
        ("/etc/hosts", "file", b"system_u:object_r:etc_t:s0\0"),
        ("/etc/fstab", "file", b"system_u:object_r:fstab_t:s0\0"),
        ("/etc/fstab", "dir", b"system_u:object_r:etc_t:s0\0"),
        ("/etc/systemd/system/x.service", "symlink", b"system_u:object_r:systemd_unit_file_t:s0\0"),
        ("/etc/udev/rules.d/70-x.rules", "file", b"system_u:object_r:udev_rules_t:s0\0"),
        ("/etc/udev/rulesxd/70-x.rules", "file", b"system_u:object_r:etc_t:s0\0"),
        ("/etc/mtab", "symlink", b"system_u:object_r:mtab_link_t:s0\0"),
        ("/srv/x", "file", b"system_u:object_r:default_t:s0\0"),
        ("/proc/x", "file", None),
    ],
)
def test_the_last_match_counts(path, kind, label):
    assert label_for(path, kind, [CONTEXTS]) == label


def test_the_local_file_counts_more():
    assert label_for("/etc/hosts", "file", [CONTEXTS, b"", b"/etc/hosts local_t\n"]) == b"local_t\0"
    assert label_for("/etc/hosts", "file", []) is None


@pytest.mark.parametrize(
    "pattern",
    [
        b"/(a+)+$",
        b"/(.*)*b",
        b"/.*.*.*.*.*.*.*.*.*.*x",
        b"/(a|a)*b",
        b"/((a{1,9}){1,9}){1,9}x",
        b"/(",
        b"/[",
        b"/(?P<x>a)",
    ],
)
def test_a_hostile_pattern_ends_at_once(pattern):
    start = time.process_time()
    label_for("/" + "a" * 200, "file", [pattern + b" evil_t\n"])
    assert time.process_time() - start < 10


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (b"SELINUX=enforcing\nSELINUXTYPE=targeted\n", "targeted"),
        (b"SELINUX=permissive\n# SELINUXTYPE=mls\nSELINUXTYPE=minimum", "minimum"),
        (b"SELINUX=disabled\nSELINUXTYPE=targeted\n", None),
        (b"SELINUXTYPE=targeted\n", None),
        (b"SELINUX=enforcing\nSELINUXTYPE=../../../tmp\n", None),
        (b"", None),
        (b"\xff\x00", None),
    ],
)
def test_the_policy_in_use(config, kind):
    assert policy_type(config) == kind


@given(st.binary(max_size=200), st.sampled_from(["file", "dir", "symlink"]))
def test_any_bytes(text, kind):
    label_for("/etc/x", kind, [text])
