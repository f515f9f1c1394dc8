"""No secret of a guest is in anything that guestfix prints; only what apply writes has them, apart and in base64."""

import json
import stat
import subprocess
import sys

import pytest

from guestfix.cli import run
from guestfix.report.forms import FORMS
from tests.build.secrets import LINUX, WINDOWS, WINLOGON, planted
from tests.build.tree import build, elf
from tests.build.windows import make

MARK = "Zk7Qf"
OFFERED = ["--confidence", "possible"]
POLICIES = ["--policy", "nfs=nofail", "--policy", "windows_autologon=off", "--policy", "machine_id=new"]


@pytest.fixture(params=["linux", "windows"])
def guest(request, tmp_path):
    if request.param == "windows":
        files, secrets = planted({**WINDOWS, "x": WINLOGON}, MARK)
        software = files.pop("x") + '[Microsoft\\Windows NT\\CurrentVersion]\n"CurrentVersion"="10.0"\n'
        return make(tmp_path / "guest", "", software, {name: text.encode() for name, text in files.items()})
    files, secrets = planted(LINUX, MARK)
    system = {
        "etc/os-release": "ID=debian\nVERSION_ID=12\n",
        "bin/sh": elf(),
        "boot/vmlinuz": b"",
        "boot/initrd.img": b"",
    }
    assert len(secrets) > 60
    return build(tmp_path / "guest", {**files, **system})


PRINTS = {
    "report": ["report"],
    "report, verbose": ["report", "--verbose", "--diff", "--color", "always"],
    "events": ["report", "--events", "stderr", "--format", "csv"],
    "diff": ["diff"],
    **{form: ["report", "--format", form] for form in FORMS},
    "inspect": ["inspect", "--verbose"],
    "inspect as JSON": ["inspect", "--format", "json"],
    "apply": ["apply", "--accept", "*"],
    "apply as JSON": ["apply", "--format", "json", "--accept", "*"],
    "a blocked apply": ["apply", "--format", "json"],
}


@pytest.mark.parametrize("name", PRINTS)
def test_nothing_printed_has_one(guest, name, capfd):
    command, *options = PRINTS[name]
    choices = [] if command == "inspect" else [*OFFERED, *POLICIES, "--progress"]
    run([command, str(guest), *options, *choices])
    said = capfd.readouterr()
    assert len(said.out) > 100 and MARK not in said.out and MARK not in said.err


def test_a_plan_has_them_where_it_says_so_and_nowhere_else(guest, capfd):
    run(["report", str(guest), "--format", "json", *OFFERED, *POLICIES])
    document = json.loads(capfd.readouterr().out)
    assert "secrets included" in document["holds"]
    written = json.dumps(document.pop("contents"))
    assert MARK not in json.dumps(document) and MARK not in written
    assert document["changes"]


def test_a_plan_that_goes_to_a_file_is_for_its_owner(guest, tmp_path):
    plan = tmp_path / "plan.json"
    with plan.open("wb") as stream:
        subprocess.run([sys.executable, "-m", "guestfix", "report", str(guest), "--format", "json"], stdout=stream)
    assert stat.S_IMODE(plan.stat().st_mode) == 0o600 and json.loads(plan.read_bytes())["schema"] == 2


def test_an_error_has_none(tmp_path, capfd):
    build(tmp_path, {"etc/os-release": "ID=debian\n", "bin/sh": elf(), "etc/fstab": ""})
    run(["report", str(tmp_path), "--policy", "network=x,password=Zk7Qf"])
    run(["report", str(tmp_path), "--only", "password=Zk7Qf", "--format", "json"])
    said = capfd.readouterr()
    assert "***" in said.err and MARK not in said.out + said.err
