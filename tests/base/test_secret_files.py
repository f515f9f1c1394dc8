"""No secret of a guest's file is shown: not in a diff of the file, and not where a line of it is quoted."""

import pytest

from guestfix.base.facts import Evidence, Fact, Finding, Unknown
from guestfix.base.secrets import masked, masked_lines
from guestfix.plan.changes import unified
from tests.build.secrets import LINUX, WINDOWS, WINLOGON, planted

MARK = "Zk7Qf"
FILES, SECRETS = planted({**LINUX, **WINDOWS, "WINLOGON.reg": WINLOGON}, MARK)


def test_there_are_enough_of_them():
    assert len(SECRETS) >= 80 and len(set(SECRETS)) == len(SECRETS)


@pytest.mark.parametrize("name", FILES)
def test_a_diff_shows_none(name):
    data = FILES[name].encode()
    for old, new in ((data, b""), (b"", data), (data, data + b"\nmore\n"), (b"x\n" + data, data)):
        assert MARK not in unified(f"/{name}", old, new)


@pytest.mark.parametrize("name", FILES)
def test_masking_keeps_lines_and_is_done_once(name):
    lines = FILES[name].splitlines(keepends=True)
    shown = list(masked_lines(f"/{name}", lines))
    assert len(shown) == len(lines) and all(one.endswith("\n") for one in shown)
    assert list(masked_lines(f"/{name}", shown)) == shown
    assert [masked(one) for one in shown] == shown


ALONE = (
    "chpasswd",
    "OPENSSH",
    "RSA",
    "any ",
    "more ",
    "root:",
    "bob:",
    "Value",
    "content",
    "_private",
    "Xauth",
    "        ",
)
"""Lines whose secret nothing on the line itself tells."""


@pytest.mark.parametrize("name", FILES)
def test_a_line_that_is_quoted_shows_none(name):
    inside = False
    for number, line in enumerate(FILES[name].splitlines(), 1):
        inside = "BEGIN" in line or (inside and "END" not in line)
        if inside or ("chpasswd" not in line and any(word in line for word in ALONE)):
            continue
        quoted = Evidence(f"/{name}", number, line)
        assert MARK not in quoted.text, quoted
        assert masked(quoted.text) == quoted.text


def test_other_texts_show_none():
    line = "rd.iscsi.password=Zk7Qf"
    assert MARK not in Unknown(line).reason
    assert MARK not in Finding("GF-FSTAB-NFS-KEPT", "warning", line, remedy=f"see {line}").remedy
    value = [{"options": line, "password": "Zk7Qf", "n": 1, "none": None, "deep": [line]}]
    assert MARK not in str(Fact("x", value).plain())
    assert Fact("x", value).plain().value[0]["n"] == 1


KEEP = [
    ("/etc/pam.d/common-password", "password\t[success=1 default=ignore]\tpam_unix.so obscure\n"),
    ("/etc/ssh/sshd_config", "PasswordAuthentication yes\n"),
    ("/etc/fstab", "# <file system> <mount point> <type> <options> <dump> <pass>\n"),
    ("/etc/apt/preferences", "Pin: release a=stable\n"),
    ("/etc/cloud/cloud.cfg", "ssh_pwauth: false\n"),
    ("/etc/cloud/cloud.cfg", "lock_passwd: false\n"),
    ("/etc/crypttab", "data /dev/sdb /etc/keys/data luks\n"),
    ("/x", "private-key=/etc/pki/client.pem\n"),
    ("/x", "key-mgmt=wpa-psk\n"),
    ("/x", "psk-flags=1\n"),
    ("/x", "bypass=1 compass: north\n"),
    ("/x", "rd.luks.key=/key:UUID=ab\n"),
    ("/etc/sysconfig/network-scripts/ifcfg-x", "KEY_MGMT=WPA-PSK\nDEVICE=x\n"),
    ("/x.sh", "echo $1$2 $HOME\n"),
    ("/x.yaml", "content: kept\n"),
]


@pytest.mark.parametrize(("path", "text"), KEEP)
def test_what_is_no_secret_stays(path, text):
    assert "".join(masked_lines(path, text.splitlines(keepends=True))) == text


@pytest.mark.parametrize(
    "text",
    ["#" * 200_000, "/a:" * 70_000, "a" * 200_000 + "password", "<psk " * 40_000, "{" * 200_000 + "secret:",
     "pass " + ", " * 100_000, "$1" * 100_000, "-" * 200_000 + "psk ", "psk" + " " * 200_000, "'" * 100_000 + "pass=",
     "x|chpasswd" * 20_000, "password" * 25_000],
    ids=range(12),
)  # fmt: skip
def test_no_text_takes_long(text):
    import time

    start = time.process_time()
    masked(text)
    masked_lines("/x", [text] * 3)
    assert time.process_time() - start < 3
