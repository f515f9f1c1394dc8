"""Package servers that a cloud keeps for its own guests."""

from __future__ import annotations

from pathlib import Path

import pytest

from guestfix.backends.directory import DirectoryGuest
from guestfix.base.facts import Facts
from guestfix.base.record import replace
from guestfix.detect.services import repositories
from guestfix.pack.cache import load_pack
from tests.build.tree import build

PACK = load_pack()
ROWS = PACK.tables["cloud-repositories"]
APT, YUM = "etc/apt/sources.list", "etc/yum.repos.d/a.repo"


def look(root: Path, files: dict[str, object], target: str = "kvm-virtio"):
    facts, known = Facts(), replace(PACK.targets[target], tables=PACK.tables)
    found = repositories.detect(DirectoryGuest(str(build(root, {"etc/hostname": "x\n", **files}))), facts, known)
    return facts, found


@pytest.mark.parametrize("name", ROWS)
def test_every_row_is_seen_by_each_of_its_signs(name, tmp_path):
    row = ROWS[name]
    assert row["instead"] or row["remedy"]
    signs = [{YUM: f"[a]\nbaseurl=https://{glob.replace('*', 'eu-1')}/x\n"} for glob in row["hosts"]]
    signs += [{path.lstrip("/"): "us-east-1\n"} for path in row["files"]]
    for number, files in enumerate(signs):
        facts, found = look(tmp_path / str(number), files)
        assert name in facts.value("repositories.old") and found[0].evidence[0].path == f"/{next(iter(files))}"


PLACES = [
    ({APT: "deb http://us-east-1.ec2.archive.ubuntu.com/ubuntu x main\n"}, "kvm-virtio", "archive.ubuntu.com"),
    ({APT: "deb http://us-east-1.ec2.archive.ubuntu.com/ubuntu x main\n"}, "aws-nitro", None),
    (
        {APT: "# deb http://azure.archive.ubuntu.com/ubuntu x main\ndeb http://archive.ubuntu.com/ubuntu x\n"},
        "gce",
        None,
    ),
    ({"etc/apt/sources.list.d/a.sources": "URIs: http://a.gce.archive.ubuntu.com/x\n"}, "azure", "archive.ubuntu.com"),
    ({"etc/apt/sources.list.d/a.bak": "URIs: http://a.gce.archive.ubuntu.com/x\n"}, "azure", None),
    ({"etc/yum/vars/ociregion": "\n"}, "kvm-virtio", None),
    ({"etc/yum/vars/awsregion": "default\n"}, "kvm-virtio", None),
    ({YUM: "baseurl=https://yum.oracle.com/x\n"}, "kvm-virtio", None),
]


@pytest.mark.parametrize(("files", "target", "instead"), PLACES)
def test_what_is_old_and_what_stands_in_for_it(files, target, instead, tmp_path):
    facts, found = look(tmp_path, files, target)
    assert list(facts.value("repositories.hosts").values()) == ([instead] if instead else [])
    assert [one.severity for one in found] == ["info"] * bool(instead)
