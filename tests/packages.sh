#!/bin/sh
# Install the Debian packages that the tests use as independent oracles, where this user may.
# What is still missing then is said with the reason, and its names are printed; the tests that need it skip.
set -u
wanted="make ca-certificates python3-venv user-mode-linux cryptsetup-bin xfsprogs btrfs-progs jfsutils ntfs-3g lvm2 mdadm fuse3 debootstrap e2fsprogs kmod cpio xz-utils bzip2 zstd lz4 lzop pigz busybox-static acl attr fdisk
dosfstools mtools libhivex-bin libwin-hivex-perl python3-hivex chntpw grub-common grub-emu grub-pc-bin grub-efi-amd64-signed shim-signed ovmf extlinux initramfs-tools-core dracut-core
genisoimage linux-image-amd64 netplan.io network-manager libguestfs-tools virt-v2v libnbd-bin libguestfs-xfs libguestfs-jfs qemu-system-x86 qemu-system-arm qemu-efi-aarch64 qemu-user-static qemu-utils ifupdown systemd chromium nodejs npm openssh-server zsh fish man-db groff mandoc
tesseract-ocr tesseract-ocr-eng fonts-dejavu-core rpm debhelper dh-python pybuild-plugin-pyproject python3-all python3-hatchling buildah poppler-utils"

lacking() {
    for name in $wanted; do
        dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'install ok installed' || echo "$name"
    done
}

missing=$(lacking | tr '\n' ' ')
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1; then
    echo "tests/packages.sh: no apt-get here, so some tests skip; on Debian they have: $missing" >&2
elif [ "$(id -u)" != 0 ]; then
    echo "tests/packages.sh: some tests skip; to have them all, as root:" >&2
    echo "    apt-get install -y --no-install-recommends $missing" >&2
else
    export DEBIAN_FRONTEND=noninteractive
    said=$(mktemp)
    trap 'rm -f "$said"' EXIT
    echo "tests/packages.sh: installing $missing" >&2
    apt-get update -qq >"$said" 2>&1 || { cat "$said" && echo "continuing with the lists at hand"; } >&2
    # shellcheck disable=SC2086
    if ! apt-get install -qq -y --no-install-recommends $missing >"$said" 2>&1; then
        for name in $missing; do
            apt-get install -qq -y --no-install-recommends "$name" >"$said" 2>&1 && continue
            echo "tests/packages.sh: could not install $name, so the tests that need it skip:" >&2
            grep '^E: ' "$said" >&2 || tail -n 3 "$said" >&2
        done
    fi
    missing=$(lacking | tr '\n' ' ')
fi
printf '%s' "$missing"
