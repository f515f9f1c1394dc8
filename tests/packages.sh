#!/bin/sh
# Install the Debian packages that the tests use as independent oracles, where this user may.
# Without them the tests that need one skip and say so.
set -u
wanted="user-mode-linux xfsprogs btrfs-progs jfsutils ntfs-3g lvm2 mdadm fuse3 python3-venv debootstrap e2fsprogs kmod cpio xz-utils bzip2 zstd lz4 lzop pigz busybox-static acl attr fdisk
dosfstools mtools libhivex-bin libwin-hivex-perl python3-hivex chntpw grub-common grub-emu grub-pc-bin grub-efi-amd64-signed shim-signed ovmf initramfs-tools-core dracut-core
genisoimage linux-image-amd64 netplan.io network-manager libguestfs-tools libguestfs-xfs libguestfs-jfs qemu-system-x86 qemu-utils ifupdown systemd"
missing=""
for name in $wanted; do
    dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $name"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "not installed, so some tests will skip:$missing" >&2
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq >/dev/null 2>&1 || echo "apt-get update failed; going on with the lists at hand" >&2
# shellcheck disable=SC2086
apt-get install -qq -y --no-install-recommends $missing >/dev/null 2>&1 && exit 0
for name in $missing; do
    apt-get install -qq -y --no-install-recommends "$name" >/dev/null 2>&1 ||
        echo "could not install $name; tests that need it will skip" >&2
done
exit 0
