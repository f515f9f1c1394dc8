"""Images that initramfs-tools and dracut themselves make of a Debian guest, in every compression.

The names that guestfix sees are those of lsinitramfs and lsinitrd; after injection those two list what was added too,
and modprobe finds the target's drivers in the tree that unmkinitramfs unpacks.
"""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from guestfix.formats.initramfs import image as initramfs
from tests.build.initramfs_plans import GOES_ON, Result, plan
from tests.build.initramfs_tools import extract, run, unpack
from tests.e2e import vm
from tests.e2e.initramfs_guests import SPARE, root_tar

pytestmark = pytest.mark.e2e

TOOLS = {"gzip": "gzip", "bzip2": "bzip2", "xz": "xz", "lzma": "lzma", "lzo": "lzop", "lz4": "lz4", "zstd": "zstd"}
FSTAB = "/dev/vda1 / ext4 defaults 0 1\n"


def _unpacked(maker: str, place: Path, suite: str = "bookworm") -> Path:
    place.mkdir()
    spare = [f"--exclude=./{name}" for name in SPARE]
    vm.run("tar", "-C", place, "--xattrs", "-xpf", root_tar(suite, maker), *spare)
    (place / "etc/fstab").write_text(FSTAB)
    return place


@pytest.fixture(scope="module")
def tools_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _unpacked("initramfs-tools", tmp_path_factory.mktemp("tools") / "root")


@pytest.fixture(scope="module")
def dracut_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _unpacked("dracut", tmp_path_factory.mktemp("dracut") / "root")


@pytest.fixture(scope="module")
def other_root(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def root_of(suite: str) -> Path:
        if suite not in made:
            made[suite] = _unpacked("initramfs-tools", tmp_path_factory.mktemp(suite) / "root", suite)
        return made[suite]

    return root_of


def _inject(root: Path, release: str) -> Result:
    result = plan(root, "aws-nitro", f"/boot/initrd.img-{release}")
    assert result.image.problem is None and f"{release}/kernel/drivers/nvme/host/nvme.ko" in result.diff
    return result


def _unpack(result: Result, place: Path) -> Path:
    """Unpack every segment with the field's tools, in order."""
    for one in result.image.segments:
        extract(unpack(one.compression, result.data[one.offset : one.end]), place)
    return place


def _check_modprobe(tree: Path, release: str) -> None:
    """Ask modprobe for the target's driver and its alias."""
    for name in ("nvme", "pci:v00001D0Fd0000CD00sv00001D0Fsd0000CD00bc01sc08i02", "ext4"):
        shown = run("modprobe", "-d", str(tree), "-S", release, "--show-depends", name).decode()
        files = [Path(word) for word in shown.split() if word.startswith("/")]
        assert files and all(path.is_file() for path in files)


def _shown(result: Result, image: initramfs.Image) -> set[str]:
    """Return the names that listers show: a second archive behind the first is seen by the kernel alone."""
    return set((result.image if image.segments[-1].compression in GOES_ON else image).entries)


def _mkinitramfs(root: Path, kind: str) -> tuple[str, initramfs.Image]:
    """Build an initramfs without the target's drivers; return the kernel's release and what guestfix reads of it."""
    release = vm.kernel_of(root)
    conf = root / "etc/initramfs-tools/initramfs.conf"
    lines = [line for line in conf.read_text().splitlines() if not line.startswith(("MODULES=", "COMPRESS="))]
    conf.write_text("\n".join([*lines, "MODULES=list", f"COMPRESS={TOOLS[kind]}"]) + "\n")
    (root / "etc/initramfs-tools/modules").write_text("ata_piix\nsd_mod\next4\n")
    vm.run("chroot", root, "mkinitramfs", "-o", f"/boot/initrd.img-{release}", release)
    with (root / f"boot/initrd.img-{release}").open("rb") as stream:
        image = initramfs.scan(stream, lambda name: False)
    assert image.problem is None and image.segments[-1].compression == kind
    return release, image


@pytest.mark.parametrize("kind", TOOLS)
def test_initramfs_tools(kind: str, tools_root: Path, tmp_path: Path) -> None:
    release, image = _mkinitramfs(tools_root, kind)
    if kind != "lzma":  # which Debian 12's lsinitramfs doesn't know
        listed = vm.run("chroot", tools_root, "lsinitramfs", f"/boot/initrd.img-{release}")
        assert set(listed.splitlines()) - {"."} == set(image.entries)
    result = _inject(tools_root, release)
    if kind != "lzma":
        (tmp_path / "image").write_bytes(result.data)
        after = run("lsinitramfs", str(tmp_path / "image")).decode()
        assert set(after.splitlines()) - {"."} == _shown(result, image)
    _check_modprobe(_unpack(result, tmp_path / "out"), release)


@pytest.mark.parametrize("suite", ["bullseye", "trixie"])
@pytest.mark.parametrize("kind", ["gzip", "lz4", "lzo", "xz", "zstd"])
def test_other_releases_list_and_unpack_what_was_added(
    kind: str, suite: str, other_root: Callable[[str], Path], tmp_path: Path
) -> None:
    """Debian 13's lister is a program that minds a decompressor without a reader (docs/decisions/061): run it often."""
    if (suite, kind) == ("bullseye", "zstd"):
        pytest.skip("initramfs-tools of Debian 11 knows no zstd")
    root = other_root(suite)
    release, image = _mkinitramfs(root, kind)
    place = f"/boot/initrd.img-{release}"
    before = vm.run("chroot", root, "lsinitramfs", place)
    assert set(before.splitlines()) - {"."} == set(image.entries)
    result = _inject(root, release)
    (root / place.lstrip("/")).write_bytes(result.data)
    for _ in range(10):
        after = subprocess.run(["chroot", root, "lsinitramfs", place], capture_output=True, text=True, check=False)
        assert (after.returncode, after.stderr) == (0, "")
        assert set(after.stdout.splitlines()) - {"."} == set(result.image.entries)
    shutil.rmtree(root / "unpacked", ignore_errors=True)
    done = subprocess.run(["chroot", root, "unmkinitramfs", place, "/unpacked"], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    tree = root / "unpacked" / "main"
    _check_modprobe(tree if tree.exists() else tree.parent, release)


@pytest.mark.parametrize("kind", TOOLS)
def test_dracut(kind: str, dracut_root: Path, tmp_path: Path) -> None:
    release = vm.kernel_of(dracut_root)
    image_path = f"/boot/initrd.img-{release}"
    more = ["--force", "--no-hostonly", "--omit-drivers", "nvme nvme_core"]
    more += ["--compress", "xz --format=lzma"] if kind == "lzma" else [f"--{kind}"]
    done = subprocess.run(
        ["chroot", str(dracut_root), "dracut", *more, image_path, release], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"dracut failed here: {done.stderr[-300:]}")
    data = (dracut_root / image_path.lstrip("/")).read_bytes()
    image = initramfs.scan(io.BytesIO(data), lambda name: False)
    assert image.problem is None and image.segments[-1].compression == kind
    assert _lsinitrd(dracut_root / image_path.lstrip("/")) == set(image.entries)
    result = _inject(dracut_root, release)
    assert "etc/modules-load.d/guestfix.conf" in result.image.entries or "rd.driver.pre" in str(result.image.files)
    (tmp_path / "image").write_bytes(result.data)
    assert _lsinitrd(tmp_path / "image") == _shown(result, image)
    _check_modprobe(_unpack(result, tmp_path / "out"), release)


def _lsinitrd(image: Path) -> set[str]:
    text = run("lsinitrd", str(image)).decode()
    found = set()
    for line in text.splitlines():
        place = 9 if line[:1] in ("c", "b") else 8  # a device has two numbers where others have a size
        words = line.split(None, place)
        if line[:1] in ("-", "d", "l", "c", "b") and len(words) > place and words[2] == "root":
            found.add(words[place].split(" -> ")[0])
    return found - {"."}


def test_the_whole_closure_of_real_modules_agrees_with_modprobe(tools_root: Path) -> None:
    """Every module that a target or a root filesystem may ask for, against modprobe --show-depends."""
    from guestfix.formats.initramfs import moddep

    release = vm.kernel_of(tools_root)
    folder = tools_root / f"usr/lib/modules/{release}"
    modules = moddep.load_index({path.name: path.read_bytes() for path in folder.glob("modules.*")})
    for name in (
        "nvme",
        "virtio_blk",
        "virtio_scsi",
        "hv_storvsc",
        "xen-blkfront",
        "vmw_pvscsi",
        "ext4",
        "xfs",
        "btrfs",
    ):
        shown = run("modprobe", "-d", str(tools_root), "-S", release, "--show-depends", name).decode()
        loaded = {moddep.module_name(word) for word in shown.split() if word.endswith(".ko")}
        found = moddep.closure(modules, [name])
        # modprobe follows only the first softdep line of a module (btrfs has four); guestfix follows all.
        assert loaded <= set(found.order) and set(found.order) - loaded <= found.soft
