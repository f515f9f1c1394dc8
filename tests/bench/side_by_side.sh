#!/bin/sh
# guestfix and virt-v2v on copies of the same Debian guests, and starts of what each made: docs/side-by-side.md.
# Goes on with what has no result yet; with names of guests, makes these again. A name is a cell of the matrix that GRUB
# or another loader starts, its disk virtio: bookworm-bios-grub-ext4-tools-ifupdown-systemd-virtio
# Needs root, virt-v2v (apt-get install virt-v2v), User-mode Linux and QEMU. About twenty minutes a guest by emulation.
set -eu
cd "$(dirname "$0")/../.."
command -v virt-v2v >/dev/null || {
    echo "side_by_side.sh: virt-v2v is not installed; on Debian: apt-get install virt-v2v" >&2
    exit 1
}
exec "${VENV:-.venv}/bin/python" -m tests.e2e.side_by_side run "$@"
