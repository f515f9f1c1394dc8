"""What the operator may tell about disk images: arguments of every command that opens a guest."""

from __future__ import annotations

import argparse
import os
from typing import Any

from guestfix.commands.parser import group


def add_images(parser: argparse.ArgumentParser) -> None:
    """Add what the operator may tell about disk images that they may not tell themselves."""
    guest = group(parser, "the guest")
    guest.add_argument(
        "--image-type",
        metavar="TYPE",
        action="append",
        default=[],
        help="raw, qcow2, vmdk, vhd, vhdx, vdi or ova, where a disk image's name doesn't tell; of one: FILE=TYPE",
    )
    guest.add_argument(
        "--allow-backing",
        metavar="DIR",
        action="append",
        default=[],
        help="a folder from which disk images may have files opened by name, beside their own (repeatable)",
    )
    guest.add_argument(
        "--key",
        dest="volume_keys",
        metavar="VOLUME:FILE",
        action="append",
        default=[],
        help="an encrypted volume's passphrase or key file; VOLUME is a UUID, a device or all; also :env:NAME, :fd:N",
    )


def by_backend(args: argparse.Namespace) -> None:
    """Let ``--backend`` and ``--kernel`` hold for the guest of these arguments. Raises UsageError."""
    if args.kernel:
        from guestfix.backends.qemu.host import KERNEL

        os.environ[KERNEL] = args.kernel
    if not args.backend:
        return
    from guestfix.backends import of_backend

    args.guest = [of_backend(args.backend, args.guest[0]), *args.guest[1:]]


def images_from(args: argparse.Namespace) -> dict[str, Any]:
    """Return what open_guest and open_writable take of these arguments."""
    return {
        "root": getattr(args, "root", ""),
        "allow_backing": args.allow_backing,
        "image_types": args.image_type,
        "keys": _keys(args),
    }


def _keys(args: argparse.Namespace) -> Any:
    """Return the keys, the same each time: a descriptor can be read once."""
    if args.volume_keys and not hasattr(args, "keys"):
        from guestfix.backends.volumes.keys import Keys

        args.keys = Keys(args.volume_keys)
    return getattr(args, "keys", ())
