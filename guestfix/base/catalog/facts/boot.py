"""Facts about boot loaders and the initramfs."""

from __future__ import annotations

from guestfix.base.catalog.facts.kind import flag, record, records, text, texts
from guestfix.base.catalog.records.boot import ArgumentFile, BootConfig, EfiFolder, InitramfsImage, MenuEntry

_LOADERS, _IMAGES = "boot.loaders", "initramfs.images"

# fmt: off
BOOT_CHOICE = text("boot.choice", "what the settings say is the default entry; empty where they say nothing",
    _LOADERS)
BOOT_CONFIGS = records("boot.configs", BootConfig,
    "the boot configurations, and which of them the firmware's path reads", _LOADERS)
BOOT_DEFAULT = record("boot.default", MenuEntry, "the entry that boots by default", _LOADERS)
BOOT_DEFAULT_REASON = text("boot.default_reason", "why the default can't be what boots; empty where it can", _LOADERS)
BOOT_EFI = records("boot.efi", EfiFolder, "the folders below EFI on the EFI system partition, with their files",
    _LOADERS)
BOOT_ENTRIES = records("boot.entries", MenuEntry, "the entries of the menu that is used, in its order", _LOADERS)
BOOT_ENV_BLOCK = text("boot.env_block", "GRUB's environment block that is used; empty for none", _LOADERS)
BOOT_ESP = text("boot.esp", "where the EFI system partition is seen; empty where it is not", _LOADERS)
BOOT_FALLBACK = record("boot.fallback", MenuEntry, "the entry that boots where the default one fails", _LOADERS,
    may_lack=True)
BOOT_FIRMWARE = text("boot.firmware", "the firmware that the guest boots by", f"{_LOADERS} windows.detector",
    "bios uefi")
BOOT_FIRMWARES = texts("boot.firmwares", "every firmware that the guest can boot by", _LOADERS, "bios uefi")
BOOT_LOADERS = texts("boot.loaders", "the boot loaders whose configuration was found", _LOADERS,
    "grub2 grub-legacy bls systemd-boot extlinux uki")
BOOT_LOCKED = flag("boot.locked", "the loader asks for a password before it starts the default entry", _LOADERS)
BOOT_SIGNED = flag("boot.signed", "GRUB reads no file whose detached signature does not hold", _LOADERS)
BOOT_SOURCE_AMISS = text("boot.source_amiss",
    "why GRUB does not find the default entry's kernel where it looks for it; empty where nothing is amiss", _LOADERS)
BOOT_SOURCES = records("boot.sources", ArgumentFile,
    "the files that hold kernel arguments, for now or for the next menu", _LOADERS)
BOOT_WRAPPER = text("boot.wrapper", "the small grub.cfg that leads to the one that is used; empty for none", _LOADERS)
INITRAMFS_BLOCKED = texts("initramfs.blocked", "modules that the boot needs and that are kept from loading", _IMAGES)
INITRAMFS_DRIVERS = texts("initramfs.drivers", "the lacking modules that the target names itself", _IMAGES)
INITRAMFS_GENERATOR = text("initramfs.generator",
    "what made the default entry's initramfs; unknown where nothing shows it", _IMAGES,
    "booster dracut initramfs-tools mkinitcpio mkinitfs mkinitrd-rh mkinitrd-suse mkosi genkernel " "unknown")
INITRAMFS_IMAGES = records("initramfs.images", InitramfsImage,
    "each kernel's initramfs: what it holds, needs and lacks", _IMAGES)
INITRAMFS_MISSING = texts("initramfs.missing", "modules that some initramfs lacks for the boot on the target",
    _IMAGES)
