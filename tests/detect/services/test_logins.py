"""Who may log in over SSH, which host keys there are, TCP wrappers, and a login on the serial port."""

from __future__ import annotations

from pathlib import Path

import pytest

from guestfix.backends.directory import DirectoryGuest
from guestfix.base.facts import Facts
from guestfix.detect.limits import access as limits
from guestfix.detect.services import access
from guestfix.detect.system.console import login_on, root_refused
from guestfix.detect.system.initsystem import Services
from guestfix.pack.model import Target
from tests.build.tree import build

TARGET = Target("t", "t")
UNIT, WANTS = "usr/lib/systemd/system", "etc/systemd/system/multi-user.target.wants"
ON: dict[str, object] = {
    "usr/sbin/sshd": "",
    f"{UNIT}/sshd.service": "[Service]\nExecStart=/usr/sbin/sshd -D\n",
    f"{WANTS}/sshd.service": ("link", f"/{UNIT}/sshd.service"),
    "etc/ssh/ssh_host_ed25519_key": "x",
}
HASH = "$6$abc$defghijk"
BASE: dict[str, object] = {
    **ON,
    "etc/passwd": "root:x:0:0::/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/bash\nweb:x:99:99::/srv:/bin/bash\n",
    "etc/shadow": f"root:*:19000:0:::::\nann:{HASH}:19000:0:99999:7:::\n",
    "etc/group": "wheel:x:10:ann\nann:x:1000:\n",
    "etc/ssh/sshd_config": "UsePAM yes\n",
    "root": None,
    "home/ann": None,
}
KEY = {"home/ann/.ssh/authorized_keys": "ssh-ed25519 AAAA\n"}


def config(text: str) -> dict[str, object]:
    return {"etc/ssh/sshd_config": f"UsePAM yes\n{text}"}


def look(root: Path, files: dict[str, object]) -> tuple[Facts, dict[str, str]]:
    build(root, {"etc/os-release": "ID=x\n", **files})
    facts, guest = Facts(), DirectoryGuest(str(root))
    facts.put("os.family", "linux")
    access.detect(guest, facts, TARGET)
    found = list(limits.check(guest, facts, TARGET))
    assert all(one.evidence and one.remedy and one.step == "access" for one in found)
    return facts, {one.code: one.summary for one in found}


LOCKED = {"etc/shadow": "root:!:19000::::::\nann:!!:19000::::::\n"}
CASES: list[tuple[str, dict[str, object], list[str] | None, str]] = [
    ("by password", {}, ["ann"], ""),
    ("by key", {**config("PasswordAuthentication no\nKbdInteractiveAuthentication no\n"), **KEY}, ["ann"], ""),
    ("PAM asks for the password", config("PasswordAuthentication no\n"), ["ann"], ""),
    ("no passwords", config("passwordauthentication no\nChallengeResponseAuthentication=no\n"), [],
     "passwords are refused"),
    ("locked, no key", LOCKED, [], "neither a key nor a password"),
    ("locked, but PAM and a key", {**LOCKED, **KEY}, ["ann"], ""),
    ("locked, and no PAM", {**LOCKED, **KEY, "etc/ssh/sshd_config": "Port 22\n"}, [], "does not use PAM"),
    ("expired long ago", {**KEY, "etc/shadow": f"root:*:1::::::\nann:{HASH}:19000:0:99999:7::1:\n"}, [], "expired"),
    ("expires one day", {**KEY, "etc/shadow": f"root:*:1::::::\nann:{HASH}:19000:0:99999:7::22000:\n"}, ["ann"], ""),
    ("AllowUsers others", config("AllowUsers deploy ops@192.0.2.*\n"), [], "AllowUsers"),
    ("AllowUsers with a host", config("AllowUsers ann@192.0.2.*\n"), ["ann"], ""),
    ("DenyUsers from somewhere", config("DenyUsers ann@192.0.2.*\n"), ["ann"], ""),
    ("DenyUsers", config("DenyUsers a*\n"), [], "DenyUsers"),
    ("AllowGroups", config("AllowGroups wheel\n"), ["ann"], ""),
    ("AllowGroups of nobody", config("AllowGroups admins\n"), [], "AllowGroups"),
    ("/etc/nologin", {"etc/nologin": "maintenance\n"}, [], "/etc/nologin"),
    ("root by key", {**LOCKED, "root/.ssh/authorized_keys": "ssh-rsa A\n"}, ["root"], ""),
    ("root's key forces a command", {**LOCKED,
     "root/.ssh/authorized_keys": 'command="echo no" ssh-rsa A\n'}, [], "neither"),
    ("PermitRootLogin no", {**LOCKED,
     **config("PermitRootLogin no\n"), "root/.ssh/authorized_keys": "k A\n"}, [], "PermitRoot"),
    ("keys elsewhere", {**LOCKED,
     **config("AuthorizedKeysFile /etc/keys/%u\n"), "etc/keys/ann": "ssh-rsa A\n"}, ["ann"], ""),
    ("included first", {**config("Include d/*.conf\nPasswordAuthentication yes\n"), "etc/ssh/d/a.conf":
     "PasswordAuthentication no\nKbdInteractiveAuthentication no\n"}, [], "passwords are refused"),
    ("a Match block decides", {**LOCKED,
     **config("Match Address 192.0.2.0/24\n PasswordAuthentication yes\n")}, None, ""),
    ("Match all is for everybody", config("Match all\n AllowUsers deploy\n"), [], "AllowUsers"),
    ("accounts from sssd", {**LOCKED, "etc/nsswitch.conf": "passwd: files sss\n"}, None, ""),
    ("keys from a program", {**LOCKED, **config("AuthorizedKeysCommand /usr/bin/keys\n")}, None, ""),
    ("no shadow file", {"etc/shadow": ("link", "/nowhere")}, None, ""),
]  # fmt: skip


@pytest.mark.parametrize(("files", "names", "why"), [one[1:] for one in CASES], ids=[one[0] for one in CASES])
def test_who_may_log_in(tmp_path, files, names, why):
    facts, found = look(tmp_path, {**BASE, **files})
    assert facts.value("ssh.logins") == names
    assert ("GF-SSH-NOBODY" in found) == (names == [])
    assert why in found.get("GF-SSH-NOBODY", why and "")
    assert ("GF-LOGIN-REFUSED" in found) == ("etc/nologin" in files)


PROGRAMS: dict[str, object] = {f"usr/bin/program{number}": "" for number in range(60)}
KEYGEN = {f"{UNIT}/sshd-keygen@.service": "[Unit]\n", f"{UNIT}/sshd-keygen.target": "[Unit]\n"}
MAKERS: list[tuple[str, dict[str, object], str]] = [
    ("Debian", {}, "nothing is to be seen"),
    ("Debian, with cloud-init", {"etc/cloud/cloud.cfg": "ssh_deletekeys: true\n"}, "/etc/cloud/cloud.cfg makes them"),
    ("cloud-init is off", {"etc/cloud/cloud.cfg": "", "etc/cloud/cloud-init.disabled": ""}, "nothing is to be seen"),
    ("RHEL 9", {**KEYGEN, f"{UNIT}/sshd.service": "[Unit]\nWants=sshd-keygen.target\n"}, "sshd.service makes them"),
    ("SUSE", {f"{UNIT}/sshd.service": "[Service]\nExecStartPre=/usr/sbin/sshd-gen-keys-start\n"}, "sshd.service makes"),
    ("RHEL 6", {"etc/rc.d/init.d/sshd": "#!/bin/sh\n# ssh-keygen\nKEYGEN=/usr/bin/ssh-keygen\n"}, "init.d/sshd makes"),
    ("a unit of its own", {f"{UNIT}/regenerate_ssh_host_keys.service": "", f"{WANTS}/regenerate_ssh_host_keys.service":
     ("link", f"/{UNIT}/regenerate_ssh_host_keys.service")}, "regenerate_ssh_host_keys.service makes"),
]  # fmt: skip


@pytest.mark.parametrize(("files", "said"), [one[1:] for one in MAKERS], ids=[one[0] for one in MAKERS])
def test_what_makes_host_keys(tmp_path, files, said):
    without = {name: text for name, text in BASE.items() if "ssh_host" not in name}
    assert said in look(tmp_path, {**PROGRAMS, **without, **files})[1]["GF-SSH-NO-HOST-KEYS"]


def test_host_keys_are_looked_for_where_sshd_does(tmp_path):
    elsewhere = {"etc/keys/ed25519": "x", **config("HostKey /etc/keys/ed25519\n")}
    assert "GF-SSH-NO-HOST-KEYS" not in look(tmp_path / "a", {**PROGRAMS, **BASE, **elsewhere})[1]
    gone = {**PROGRAMS, **BASE, **config("HostKey /etc/keys/ed25519\n")}
    assert "GF-SSH-NO-HOST-KEYS" in look(tmp_path / "b", gone)[1]


WRAPPED = {"usr/sbin/sshd": b"\x7fELF...libwrap.so.0\0"}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"etc/hosts.deny": "ALL: ALL\n"}, None),  # this sshd knows no wrappers
        ({**WRAPPED, "etc/hosts.deny": "# ALL: ALL\n"}, None),
        ({**WRAPPED, "etc/hosts.deny": "ALL: ALL\n"}, "to nobody: ALL: ALL"),
        (
            {**WRAPPED, "etc/hosts.deny": "sshd : ALL\n", "etc/hosts.allow": "sshd: 192.0.2.\n"},
            "some addresses: sshd: 192",
        ),
        ({**WRAPPED, "etc/hosts.deny": "ALL: ALL\n", "etc/hosts.allow": "sshd: ALL\n"}, None),
        ({**WRAPPED, "etc/hosts.deny": "ALL: ALL EXCEPT 192.0.2.0/24\n"}, None),
        ({**WRAPPED, "etc/hosts.deny": "vsftpd: ALL\n"}, None),
    ],
)
def test_tcp_wrappers(tmp_path, files, said):
    found = look(tmp_path, {**BASE, **files})[1].get("GF-SSH-WRAPPERS")
    assert (found is None) if said is None else said in found


GENERATOR = {"usr/lib/systemd/system-generators/systemd-getty-generator": "", f"{UNIT}/serial-getty@.service": ""}
MASK = {"etc/systemd/system/serial-getty@ttyS0.service": ("link", "/dev/null")}
GETTYS: list[tuple[str, dict[str, object], tuple[str, ...], bool]] = [
    ("by console=", GENERATOR, ("console=ttyS0,115200",), True),
    ("another console", GENERATOR, ("console=hvc0",), False),
    ("told not to", GENERATOR, ("console=ttyS0", "systemd.getty_auto=no"), False),
    ("masked", {**GENERATOR, **MASK}, ("console=ttyS0",), False),
    ("enabled", {**GENERATOR, "etc/systemd/system/getty.target.wants/serial-getty@ttyS0.service":
     ("link", f"/{UNIT}/serial-getty@.service"), f"{UNIT}/serial-getty@ttyS0.service": ""}, (), True),
    ("inittab", {"etc/inittab": "T0:23:respawn:/sbin/getty -L ttyS0 9600 vt100\n"}, (), True),
    ("inittab, commented", {"etc/inittab": "#T0:23:respawn:/sbin/getty -L ttyS0 9600 vt100\n"}, (), False),
    ("inittab, Xen's", {"etc/inittab": "co:2345:respawn:/sbin/agetty hvc0 9600 vt100\n"}, ("console=ttyS0",), False),
    ("busybox", {"etc/inittab": "ttyS0::respawn:/sbin/getty -L 0 115200 vt100\n"}, (), True),
    ("upstart", {"etc/init/ttyS0.conf": "start on runlevel [2345]\nexec /sbin/getty ttyS0\n"}, (), True),
    ("RHEL 6", {"etc/init/serial.conf": "start on fedora.serial-console-available *\n"}, ("console=ttyS0,9600",), True),
    ("OpenRC", {"etc/init.d/agetty.ttyS0": "", "etc/runlevels/default/agetty.ttyS0": ("link", "/etc/init.d/agetty")},
     (), True),
]  # fmt: skip


@pytest.mark.parametrize(("files", "args", "there"), [one[1:] for one in GETTYS], ids=[one[0] for one in GETTYS])
def test_a_login_on_the_serial_port(tmp_path, files, args, there):
    guest = DirectoryGuest(str(build(tmp_path, {"etc/os-release": "ID=x\n", **files})))
    found = login_on(guest, Services(guest), "ttyS0", args)
    assert (found is not None) == there


def test_root_on_the_serial_port(tmp_path):
    pam = "auth [user_unknown=ignore success=ok ignore=ignore default=bad] pam_securetty.so\n"
    old = build(tmp_path / "old", {"etc/securetty": "tty1\nhvc0\n", "etc/pam.d/login": pam})
    new = build(tmp_path / "new", {"etc/securetty": "tty1\nttyS0\n", "etc/pam.d/login": pam})
    never = build(tmp_path / "never", {"etc/securetty": "tty1\n", "etc/pam.d/login": f"#{pam}"})
    answers = [root_refused(DirectoryGuest(str(one)), "ttyS0") for one in (old, new, never)]
    assert [one is not None for one in answers] == [True, False, False]
