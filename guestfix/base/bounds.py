"""Every bound on what a hostile file may cost, in one table; no file takes more than 10 s and 400 MB.

What lies beyond a bound is left out and told, never read in part without a word. tests/hostile/test_bounds.py has
a test for each row.
"""

from __future__ import annotations

SMALL_TEXT = 1 << 20
"""Bytes of a text that somebody writes by hand: what is read and edited where nothing else is said."""

MOUNT_TABLE = 256 << 10
"""Bytes of /etc/fstab and /etc/crypttab: some 5,000 lines."""

MENU = 16 << 20
"""Bytes of a boot loader's menu (grub.cfg): 20,000 entries as mkconfig writes them."""

MENU_ENTRIES = 20_000
"""Entries of a menu that are looked at for its default."""

LISTED_ENTRIES = 2_000
"""Entries of a menu that the facts list; more are told (GF-BOOT-MANY-ENTRIES)."""

MENU_COMMANDS = 250_000
"""Commands of one grub.cfg that are read; what follows is a problem of the file."""

MENU_PROBLEM = "too many commands, or one that is too long, and what follows is not read"

MENU_TEXT = 8 << 20
"""Characters that all values and words of one menu may come to when its variables are put in."""

MENU_READ = 64 << 20
"""Bytes of configuration files that one menu may read by source and configfile."""

HIVE = 160 << 20
"""Bytes of a registry hive that is held in memory; Windows' own largest, SOFTWARE, has 60 to 130 MB."""

HIVE_LOG = 64 << 20
"""Bytes of a hive's transaction log."""

CLUSTER_WINDOW = 8 << 20
"""Bytes of memory that unpacking one zstd cluster of a qcow2 takes; it gives no more than the cluster's size."""

DIFF_LINES = 2_000
"""Lines of a file up to which its diff is the shortest one; longer files are compared in one pass."""

DIFF_STEPS = 1_000_000
"""Comparisons that looking for where two long files meet again may take."""

DIFF_SHOWN = 20_000
"""Lines of one diff that a plan has; more are counted."""

KERNEL_UNPACKED = 96 << 20
"""Bytes of a packed kernel in which its release is looked for; real ones have it in the first 40 million."""

INITRAMFS = 1 << 30
"""Bytes that one initramfs may unpack to; it is streamed, so this bounds the time."""

INITRAMFS_RATIO = 64
"""How many times its size an initramfs may unpack to, beyond the first 64 MiB; real ones are below 10."""

YAML_DEPTH = 32
YAML_NODES = 100_000
"""Depth and values of a YAML file of the guest; anchors and aliases are refused."""

XML_DEPTH = 200
XML_ELEMENTS = 100_000
XML_BYTES = 8 << 20
"""Depth, elements and bytes of an XML file: an answer file, an OVF descriptor."""

FOLDER_NAMES = 100_000
"""Names of one folder that are listed; a larger one is an error, and what it is listed for is left out."""

GLOB_PATHS = 20_000
"""Paths that a pattern is tried on at each of its parts; links to a folder above multiply them."""

LINKS = 40
"""Links followed in one look-up, as in the kernel (path_resolution(7))."""

IMAGE_EXTENTS = 4096
"""Files and stretches that the descriptor of one VMDK may name."""

IMAGE_CHAIN = 32
"""Images on each other, a disk's chain of backing files."""

LUKS_HEADER = 4 << 20
"""Bytes of one copy of a LUKS2 header, as the format bounds it."""

LUKS_MEMORY = 1 << 20
"""KiB that deriving the key of a LUKS slot may take: cryptsetup's default bound; only with a key given."""

LUKS_PASSES = 16 << 20
"""KiB times passes that deriving the key of a LUKS slot may take; cryptsetup aims at two seconds."""

LUKS_ITERATIONS = 50_000_000
"""Iterations of PBKDF2 that a LUKS slot may ask for; cryptsetup makes some four million in two seconds."""
