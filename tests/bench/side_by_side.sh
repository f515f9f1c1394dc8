#!/bin/sh
# guestfix and virt-v2v on copies of the same Debian guests, and starts of what each made: docs/side-by-side.md.
# Goes on with what has no result yet; with names of guests, makes these again. A name is a cell of the matrix that GRUB
# or another loader starts, its disk virtio: bookworm-bios-grub-ext4-tools-ifupdown-systemd-virtio
# Needs root, virt-v2v and nbdcopy (apt-get install virt-v2v libnbd-bin), User-mode Linux and QEMU.
# About twenty minutes a guest by emulation.
set -eu
cd "$(dirname "$0")/../.."
# Debian's virt-v2v does not depend on the package of nbdcopy, and fails at its end without
for one in virt-v2v nbdcopy; do
    command -v "$one" >/dev/null || {
        echo "side_by_side.sh: $one is not installed; on Debian: apt-get install virt-v2v libnbd-bin" >&2
        exit 1
    }
done
exec "${VENV:-.venv}/bin/python" -m tests.e2e.side_by_side run "$@"
