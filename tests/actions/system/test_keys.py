"""A public key for one account: what is taken for one, where it goes, whose it is, and that nothing else can do so."""

from __future__ import annotations

import base64
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestfix import apply_plan, make_plan, open_guest, open_writable, revert
from guestfix.base.edit import append_lines
from guestfix.base.errors import EditError, UsageError
from guestfix.base.overlay import Overlay
from guestfix.cases.runner import snapshot
from guestfix.formats.selinux import XATTR
from guestfix.formats.sshkeys import KINDS, blob_of, fault_of
from guestfix.pack.cache import load_pack
from guestfix.plan.planner import Options
from tests.build.tree import build

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me@here"
CONTEXTS = r"""/home/[^/]+/.+ user_u:object_r:user_home_t:s0
/home/[^/]+/\.ssh(/.*)? user_u:object_r:ssh_home_t:s0
"""


def planned(tmp_path: Path, files: dict[str, object], key: str = KEY, user: str = "admin"):
    passwd = "root:x:0:0:root:/root:/bin/bash\nadmin:x:1000:1000::/home/admin:/bin/bash\n"
    build(tmp_path / "guest", {"etc/os-release": "ID=debian\nVERSION_ID=12\n", "etc/passwd": passwd, **files})
    (tmp_path / "payload").mkdir()
    (tmp_path / "payload/x.pub").write_text(key + "\n")
    options = Options(("access/*",), policies={"ssh_user": user}, extra={"payload.dir": str(tmp_path / "payload")})
    return lambda: make_plan(open_guest(str(tmp_path / "guest")), load_pack(), "kvm-virtio", options)


def test_the_file_is_the_accounts_with_the_guests_own_label_and_revert_is_exact(tmp_path: Path) -> None:
    contexts = {
        "etc/selinux/config": "SELINUX=enforcing\nSELINUXTYPE=targeted\n",
        "etc/selinux/targeted/contexts/files/file_contexts": CONTEXTS,
    }
    make = planned(tmp_path, {"home/admin/.profile": "", **contexts})
    root, home = tmp_path / "guest", tmp_path / "guest/home/admin"
    if os.geteuid():
        pytest.skip("only root gives files to others")
    os.chown(home, 1000, 1001)
    os.setxattr(home, XATTR, b"user_u:object_r:user_home_dir_t:s0\0")
    before = snapshot(str(root))
    apply_plan(open_writable(str(root)), make())
    made = (home / ".ssh", home / ".ssh/authorized_keys")
    assert [(one.stat().st_uid, one.stat().st_gid, one.stat().st_mode & 0o7777) for one in made] == [
        (1000, 1001, 0o700),
        (1000, 1001, 0o600),
    ]
    assert all(b":ssh_home_t:" in os.getxattr(one, XATTR) for one in made)
    assert made[1].read_text() == KEY + "\n"
    assert not make().changes
    revert(open_writable(str(root)))
    assert snapshot(str(root)) == before


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ("AuthorizedKeysFile /etc/ssh/keys/%u\n", "/etc/ssh/keys/admin"),
        ("AuthorizedKeysFile %h/.ssh/mine .ssh/authorized_keys\n", "/home/admin/.ssh/mine"),
        ("Match User root\nAuthorizedKeysFile none\n", "/home/admin/.ssh/authorized_keys"),
        ("AuthorizedKeysFile none\n", ""),
        ("AuthorizedKeysFile /nowhere/%u\n", ""),
        ("AuthorizedKeysFile ../../etc/x\n", ""),
    ],
)
def test_the_key_goes_where_sshd_looks(tmp_path: Path, config: str, path: str) -> None:
    files = {"home/admin/.profile": "", "etc/ssh/sshd_config": config, "etc/ssh/keys/other": ""}
    plan = planned(tmp_path, files)()
    assert [one.path for one in plan.changes] == ([path] if path else [])
    wanted = 0o600 if path.startswith("/home/") else 0o644
    assert all(one.meta is not None and one.meta.mode == wanted for one in plan.changes)
    told = [one.code for one in plan.findings if one.rule]
    assert told == ([] if path else ["GF-SSH-KEY-UNPLACED"])


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "private key"),
        ('command="reboot" ' + KEY, "no public key"),
        ("ssh-ed25519 AAAAB3NzaC1yc2EAAAADAQABAAAAgQDaAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "does not hold"),
        (KEY[:40], "does not hold"),
        ("ssh-dss " + KEY.split()[1], "no public key"),
    ],
)
def test_what_is_no_public_key_is_refused(tmp_path: Path, key: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        planned(tmp_path, {"home/admin/.profile": ""}, key)()


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_what_ssh_keygen_makes_is_a_public_key(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(place)], check=True)
    line = (tmp_path / "key.pub").read_text()
    assert fault_of(line) == "" and blob_of(line) == line.split()[1]
    assert "private key" in fault_of(place.read_text().splitlines()[0])


@given(st.text(max_size=300))
def test_any_line_is_judged(text: str) -> None:
    fault_of(text)
    blob_of(text)


@given(st.sampled_from(KINDS), st.binary(min_size=32, max_size=200), st.text("ab @", max_size=9))
def test_a_key_of_each_kind_is_known_by_its_blob(kind: str, rest: bytes, comment: str) -> None:
    blob = base64.b64encode(len(kind).to_bytes(4, "big") + kind.encode() + rest).decode()
    line = f"{kind} {blob} {comment}".strip()
    assert fault_of(line) == "" and blob_of(f'from="x" {line}') == blob and blob_of(f"# {line}") == ""


def test_no_other_protected_path_is_opened_by_the_one_that_is_asked_for(tmp_path: Path) -> None:
    build(tmp_path / "guest", {"home/admin/.ssh/authorized_keys": "a\n", "root/.ssh/authorized_keys": "b\n"})
    view = Overlay(open_guest(str(tmp_path / "guest")))
    mine, others = "/home/admin/.ssh/authorized_keys", ("/root/.ssh/authorized_keys", "/etc/shadow")
    with view.permitting(mine):
        view.put(mine, append_lines(b"a\n", b"c"))
        for path in others:
            with pytest.raises(EditError, match="never changes"):
                view.put(path, b"x")
    with pytest.raises(EditError, match="never changes"):
        view.put(mine, b"x")
