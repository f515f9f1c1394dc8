"""Facts about boot loaders and the initramfs."""

from __future__ import annotations

from guestfix.catalog.facts.kind import FactKind

_LOADERS, _IMAGES = "boot.loaders", "initramfs.images"
_ENTRY = "id title kernel initrd args loader path line"

# fmt: off
BOOT: dict[str, FactKind] = {
    "boot.choice": FactKind("text", "what the settings say is the default entry; empty where they say nothing",
        _LOADERS),
    "boot.configs": FactKind("records", "the boot configurations, and which of them the firmware's path reads",
        _LOADERS, fields="path loader firmware used"),
    "boot.default": FactKind("record", "the entry that boots by default", _LOADERS, fields=_ENTRY),
    "boot.default_reason": FactKind("text", "why the default can't be what boots; empty where it can", _LOADERS),
    "boot.efi": FactKind("records", "the folders below EFI on the EFI system partition, with their files", _LOADERS,
        fields="path files"),
    "boot.entries": FactKind("records", "the entries of the menu that is used, in its order", _LOADERS, fields=_ENTRY),
    "boot.env_block": FactKind("text", "GRUB's environment block that is used; empty for none", _LOADERS),
    "boot.esp": FactKind("text", "where the EFI system partition is seen; empty where it is not", _LOADERS),
    "boot.fallback": FactKind("record", "the entry that boots where the default one fails", _LOADERS, fields=_ENTRY,
        may_lack=True),
    "boot.firmware": FactKind("text", "the firmware that the guest boots by", f"{_LOADERS} windows.detector",
        "bios uefi"),
    "boot.firmwares": FactKind("list", "every firmware that the guest can boot by", _LOADERS, "bios uefi"),
    "boot.loaders": FactKind("list", "the boot loaders whose configuration was found", _LOADERS,
        "grub2 grub-legacy bls systemd-boot extlinux uki"),
    "boot.sources": FactKind("records", "the files that hold kernel arguments, for now or for the next menu", _LOADERS,
        fields="path form"),
    "boot.wrapper": FactKind("text", "the small grub.cfg that leads to the one that is used; empty for none", _LOADERS),
    "initramfs.blocked": FactKind("list", "modules that the boot needs and that are kept from loading", _IMAGES),
    "initramfs.drivers": FactKind("list", "the lacking modules that the target names itself", _IMAGES),
    "initramfs.generator": FactKind("text", "what made the default entry's initramfs; unknown where nothing shows it",
        _IMAGES, "booster dracut initramfs-tools mkinitcpio mkinitfs mkinitrd-rh mkinitrd-suse mkosi genkernel "
        "unknown"),
    "initramfs.images": FactKind("records", "each kernel's initramfs: what it holds, needs and lacks", _IMAGES,
        fields="kernel path role generator hostonly compression size modules builtin firmware support needs missing "
        "absent reasons blacklisted problem sealed"),
    "initramfs.missing": FactKind("list", "modules that some initramfs lacks for the boot on the target", _IMAGES),
}
