"""Inventories: what each form says, and each kind of mistake with its place and the nearest right name."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.base.errors import GuestfixError, PackError, UsageError
from guestfix.fleet.inventory import Known, read, waves
from guestfix.fleet.job import Guest
from tests.build.tree import build

KNOWN = Known(("aws-nitro", "kvm-virtio"), {"network": ("dhcp", "preserve"), "nfs": ()})

YAML = """
defaults:
  target: aws-nitro
  policies: {network: dhcp}
  tags: [site-a]
guests:
  - name: web
    disks: [web.qcow2, "nbd://host/web-data"]
    root: /dev/sda2
    policies: {nfs: disable}
    network_map: {ens192: "52:54:00:12:34:56"}
    tags: prod
    after: [db]
  - name: db
    disks: dir:db
    target: kvm-virtio
    describe: db.yaml
    accept: [GF-KERNEL-UNLISTED]
"""


def one_file(folder, name, text):
    (folder / name).write_text(text)
    return str(folder / name)


def test_yaml(tmp_path):
    web, db = read([one_file(tmp_path, "all.yaml", YAML)], KNOWN)
    assert web == Guest(
        name="web",
        disks=(f"{tmp_path}/web.qcow2", "nbd://host/web-data"),
        root="/dev/sda2",
        target="aws-nitro",
        policies={"network": "dhcp", "nfs": "disable"},
        network_map={"ens192": "52:54:00:12:34:56"},
        tags=("site-a", "prod"),
        after=("db",),
        where=f"{tmp_path}/all.yaml:7:5",
    )
    assert (db.disks, db.target, db.describe) == ((f"dir:{tmp_path}/db",), "kvm-virtio", f"{tmp_path}/db.yaml")
    assert [[guest.name for guest in wave] for wave in waves([web, db])] == [["db"], ["web"]]


def test_csv(tmp_path):
    text = (
        "\ufeffname,disks,target,tags,policy.network,after\r\n"
        'web,"web.qcow2; data.raw",aws-nitro,prod;web,preserve,db\r\n\r\ndb,/srv/db.raw,,,,\r\n'
    )
    web, db = read([one_file(tmp_path, "all.csv", text)], KNOWN)
    assert web.disks == (f"{tmp_path}/web.qcow2", f"{tmp_path}/data.raw")
    assert (web.tags, web.policies, web.after) == (("prod", "web"), {"network": "preserve"}, ("db",))
    assert (db.disks, db.target, db.where) == (("/srv/db.raw",), "", f"{tmp_path}/all.csv:4:1")


DOMAIN = """<domain type='kvm'><name>web server</name><devices>
<disk type='file' device='cdrom'><source file='/iso'/><target dev='sda'/></disk>
<disk type='block' device='disk'><source dev='/dev/vg/data'/><target dev='vdb'/></disk>
<disk type='file' device='disk'><source file='/srv/web.qcow2'/><target dev='vda'/></disk>
<disk type='network' device='disk'><source protocol='nbd' name='x'><host name='nas' port='10810'/></source>
<target dev='vdaa'/></disk>
<disk type='network' device='disk'><source protocol='nbd' name='y'><host transport='unix' socket='/run/n'/></source>
<target dev='vdc'/></disk></devices></domain>"""


def test_a_libvirt_domain(tmp_path):
    (found,) = read([one_file(tmp_path, "web.xml", DOMAIN)], KNOWN)
    disks = ("/srv/web.qcow2", "/dev/vg/data", "nbd+unix:///y?socket=/run/n", "nbd://nas:10810/x")
    assert (found.name, found.disks) == ("web server", disks)


PROXMOX = """boot: order=scsi1;ide2;net0
name: web
scsi0: /srv/data.raw,size=4G
scsi1: /srv/root.qcow2,iothread=1,size=8G
ide2: none,media=cdrom
ide3: local:iso/x.iso,media=cdrom,size=1G
scsihw: virtio-scsi-single

[before]
scsi0: /srv/old.raw
"""


def test_a_proxmox_configuration(tmp_path):
    (found,) = read([one_file(tmp_path, "100.conf", PROXMOX)], KNOWN)
    assert (found.name, found.disks) == ("web", ("/srv/root.qcow2", "/srv/data.raw"))


def test_folders_images_and_addresses(tmp_path):
    build(
        tmp_path,
        {"a/etc/fstab": "", "b/root/etc/fstab": "", "b/disks.yaml": "", "c.qcow2": "", "notes.txt": "", "d/x": ""},
    )
    a, b, c = read([str(tmp_path)], KNOWN)
    assert (a.name, a.disks, b.name, b.describe) == ("a", (f"dir:{tmp_path}/a",), "b", f"{tmp_path}/b/disks.yaml")
    assert (c.name, c.disks) == ("c", (f"{tmp_path}/c.qcow2",))
    assert [one.name for one in read([str(tmp_path / "a"), "https://host/vm/disk.vmdk"], KNOWN)] == ["a", "disk.vmdk"]


GUEST = "guests:\n  - name: web\n    disks: [web.raw]\n"


@pytest.mark.parametrize(
    ("name", "text", "place", "said"),
    [
        ("a.yaml", "guests: [{name: a, disks: b, tgas: c}]", "1:30", "did you mean tags?"),
        ("a.yaml", "guest: []", "1:1", "known keys: defaults, guests"),
        ("a.yaml", "guests: {}", "1:9", "must be a list"),
        ("a.yaml", "guests:\n  - disks: [x]\n", "2:5", "lacks the key 'name'"),
        ("a.yaml", "guests:\n  - name: x\n", "2:5", "lacks the key 'disks'"),
        ("a.yaml", GUEST + "    target: aws-nito\n", "4:13", "did you mean aws-nitro?"),
        ("a.yaml", GUEST + "    policies: {netwrk: dhcp}\n", "4:24", "did you mean network?"),
        ("a.yaml", GUEST + "    policies: {network: static}\n", "4:25", "one of: dhcp, preserve"),
        ("a.yaml", GUEST + "    policies: [a]\n", "4:15", "must be a mapping"),
        ("a.yaml", GUEST + "    network_map: {eth0: [a]}\n", "4:25", "holds texts"),
        ("a.yaml", "defaults: {target: nope}\n" + GUEST, "1:20", "there is no target"),
        ("a.yaml", GUEST + GUEST.partition("\n")[2], "4:5", "a name of its own"),
        ("a.yaml", GUEST + "  - name: b\n    disks: ./web.raw\n", "4:5", "have the same disk"),
        ("a.yaml", GUEST + "    after: [dd]\n", "2:5", "which is no guest"),
        ("a.yaml", GUEST + "    after: [web]\n", "2:5", "wait for one another"),
        ("a.yaml", "\xff", "1:1", "guests"),
        ("a.csv", "name,disk\na,b\n", "1:6", "did you mean disks?"),
        ("a.csv", "name,disks,policy.netwok\na,b,c\n", "1:12", "did you mean policy.network?"),
        ("a.csv", "name,disks\na,\n", "2:1", "lacks its disks"),
        ("a.csv", "name,disks,target\na,b,nope\n", "2:5", "there is no target"),
        ("a.csv", "name,disks,policy.network\na,b,static\n", "2:5", "can't be 'static'"),
        ("a.csv", 'name,disks,target\n\n"a,\n""b",c,kvm-virtjo\n', "4:8", "did you mean kvm-virtio?"),
        ("a.csv", "name,disks\r\na,b\r\na,c\r\n", "3:1", "is the name of the guest at"),
        ("a.csv", 'name,disks\n"a,b\n', "2:1", "can't be read"),
    ],
)
def test_each_mistake_has_its_place(tmp_path, name, text, place, said):
    with pytest.raises(PackError) as caught:
        read([one_file(tmp_path, name, text)], KNOWN)
    assert f"{name}:{place}" in str(caught.value) and said in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.xml", "<a/>", "no libvirt domain"),
        ("a.xml", "<!DOCTYPE a [<!ENTITY b 'c'>]><domain/>", "document type"),
        ("a.xml", "<domain", "no XML"),
        ("a.xml", "<domain><devices/></domain>", "no hard disk"),
        (
            "a.xml",
            "<domain><devices><disk type='volume'><target dev='vda'/></disk></devices></domain>",
            "vda is of the kind",
        ),
        ("a.conf", "scsi0: local-lvm:vm-100-disk-0,size=8G\n", "pvesm path"),
        ("a.conf", "memory: 1\n", "no hard disk"),
        ("a.txt", "x", "no inventory"),
    ],
)
def test_machines_that_can_not_be_read(tmp_path, name, text, said):
    with pytest.raises(GuestfixError) as caught:
        read([one_file(tmp_path, name, text)], KNOWN)
    assert said in str(caught.value)


def test_nothing_there(tmp_path):
    with pytest.raises(UsageError, match="no guest in it"):
        read([str(tmp_path)], KNOWN)
    with pytest.raises(GuestfixError, match="can't be read"):
        read([str(tmp_path / "a.yaml")], KNOWN)


@settings(deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["x.yaml", "x.csv", "x.xml", "x.conf"]))
def test_any_bytes_are_guests_or_an_error_of_ours(tmp_path_factory, data, name):
    place = tmp_path_factory.mktemp("any") / name
    place.write_bytes(data)
    with contextlib.suppress(GuestfixError):
        read([str(place)], KNOWN)


def test_waves_by_tag_and_by_what_comes_before():
    guests = [
        Guest("a", ("/a",), tags=("prod",), after=("b",)),
        Guest("b", ("/b",), tags=("test",)),
        Guest("c", ("/c",), tags=("pilot", "prod")),
        Guest("d", ("/d",)),
        Guest("e", ("/e",), tags=("prod",), after=("a", "c")),
    ]
    named = [[one.name for one in wave] for wave in waves(guests, ["pilot", "test", "prod"])]
    assert named == [["c"], ["b"], ["a"], ["e"], ["d"]]
    assert [[one.name for one in wave] for wave in waves(guests)] == [["b", "c", "d"], ["a"], ["e"]]
    with pytest.raises(UsageError, match="a comes after b, which its tags put into a later wave"):
        waves(guests, ["prod", "test"])


def test_a_chain_of_many_guests_is_put_in_order_at_once():
    chain = [Guest(str(at), (f"/{at}",), after=(str(at - 1),) if at else ()) for at in range(20_000)]
    assert [len(wave) for wave in waves(reversed(chain))] == [1] * 20_000


def test_folders_of_what_vsphere_exports(tmp_path):
    build(tmp_path, {
        "web/web.ovf": "", "web/web-disk1.vmdk": "", "web/web.mf": "", "db/db.ovf": "", "db/db-disk1.vmdk": "",
        "old.vmdk": "", "old-flat.vmdk": "", "split-s001.vmdk": "", "split.vmdk": "", "notes.txt": "",
    })  # fmt: skip
    assert [one.name for one in read([str(tmp_path)], KNOWN)] == ["db", "old", "split", "web"]
    (one,) = read([str(tmp_path / "web")], KNOWN)
    assert one.disks == (str(tmp_path / "web/web.ovf"),)


def test_places_that_name_a_backend(tmp_path):
    build(tmp_path, {"a/etc/fstab": "", "b.qcow2": ""})
    a, b = read([f"dir:{tmp_path}/a", f"uml:{tmp_path}/b.qcow2"], KNOWN)
    assert (a.name, a.disks) == ("a", (f"dir:{tmp_path}/a",))
    assert (b.name, b.disks) == ("b", (f"uml:{tmp_path}/b.qcow2",))
    text = "guests: [{name: c, disks: [image:c.raw, image:nbd://host/c]}]"
    (c,) = read([one_file(tmp_path, "all.yaml", text)], KNOWN)
    assert c.disks == (f"image:{tmp_path}/c.raw", "image:nbd://host/c")


def test_no_secret_of_an_address_is_shown(tmp_path):
    secret = "https://me:s3cret@host/vm/web.raw?sig=t0ken"
    (one,) = read([secret], KNOWN)
    assert (one.name, one.disks, one.where) == ("web.raw", (secret,), "https://host/vm/web.raw")
    (one,) = read([f"image:{secret}"], KNOWN)
    assert (one.name, one.disks, one.where) == ("web.raw", (f"image:{secret}",), "https://host/vm/web.raw")
    text = f"guests:\n  - {{name: a, disks: {secret!r}}}\n  - {{name: b, disks: {secret!r}}}\n"
    with pytest.raises(PackError) as caught:
        read([one_file(tmp_path, "a.yaml", text)], KNOWN)
    assert "same disk: https://host/vm/web.raw" in str(caught.value)
    assert "s3cret" not in str(caught.value) and "t0ken" not in str(caught.value)
