"""Passwords don't reach what is shown."""

import pytest

from guestfix.base.facts import Evidence, Finding
from guestfix.base.secrets import masked
from guestfix.plan.changes import unified

HIDE = [
    (
        "//nas/data /mnt cifs username=bob,password=S3cret,uid=0 0 0",
        "//nas/data /mnt cifs username=bob,password=***,uid=0 0 0",
    ),
    ("pass=S3cret", "pass=***"),
    ("passwd=S3cret,ro", "passwd=***"),
    ("ro,passwd=S3cret,,x,uid=0", "ro,passwd=***,uid=0"),
    ("PASSWORD2=S3cret", "PASSWORD2=***"),
    ("name=admin,secret=S3cret==,noatime", "name=admin,secret=***,noatime"),
    ("//bob:S3cret@nas/share /mnt cifs", "//bob:***@nas/share /mnt cifs"),
    ("curlftpfs#bob:S3cret@host /mnt fuse", "curlftpfs#bob:***@host /mnt fuse"),
    ("https://bob:S3cret@dav.example/", "https://bob:***@dav.example/"),
    ("psk=S3cret", "psk=***"),
]
KEEP = [
    "credentials=/etc/cifs.pass,vers=3.0",
    "passno=2",
    '<settings pass="oobeSystem">',
    "bypass=1",
    "root=UUID=ab pass",
    "user@host:/srv /mnt sshfs",
    "10.0.0.1:6789:/ /mnt ceph name=admin,secretfile=/etc/ceph/key",
]


@pytest.mark.parametrize(("text", "shown"), HIDE)
def test_a_password_is_hidden_in_evidence_findings_and_diffs(text, shown):
    assert masked(text) == shown
    assert Evidence("/etc/fstab", 1, text).text == shown
    assert "S3cret" not in Finding("GF-FSTAB-NFS-KEPT", "warning", text).summary
    assert "S3cret" not in unified("/etc/fstab", f"{text}\n".encode(), f"# {text}\n".encode())


@pytest.mark.parametrize("text", KEEP)
def test_what_is_no_password_stays(text):
    assert masked(text) is text or masked(text) == text
