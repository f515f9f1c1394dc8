"""What distributions are called: in release files, in os-release's ID, in each other's ID_LIKE."""

from __future__ import annotations

from guestfix.base.facts import Evidence
from guestfix.base.record import frozen


@frozen
class Identity:
    """What release files say. ``version`` is in the distribution's own writing; empty where unknown."""

    id: str
    version: str = ""
    name: str = ""
    like: tuple[str, ...] = ()
    variant: str = ""
    codename: str = ""
    evidence: tuple[Evidence, ...] = ()


# What one-line release files begin with, lower case -> ID; the first that fits counts.
NAMES = (
    ("red hat enterprise", "rhel"),
    ("red hat linux", "redhat"),
    ("centos", "centos"),
    ("oracle linux", "ol"),
    ("enterprise linux enterprise linux", "ol"),
    ("oracle vm server", "ovs"),
    ("scientific linux", "scientific"),
    ("springdale", "springdale"),
    ("rocky linux", "rocky"),
    ("almalinux", "almalinux"),
    ("cloudlinux", "cloudlinux"),
    ("amazon linux", "amzn"),
    ("fedora", "fedora"),
    ("eurolinux", "eurolinux"),
    ("miracle linux", "miraclelinux"),
    ("virtuozzo", "virtuozzo"),
    ("openeuler", "openeuler"),
    ("kylin linux", "kylin"),
    ("xenserver", "xenserver"),
    ("mandriva", "mandriva"),
    ("mageia", "mageia"),
    ("alt ", "altlinux"),
    ("suse linux enterprise server", "sles"),
    ("suse linux enterprise desktop", "sled"),
    ("suse linux enterprise", "sles"),
    ("novell open enterprise server", "sles"),
    ("opensuse", "opensuse"),
    ("suse linux", "opensuse"),
    ("ubuntu", "ubuntu"),
    ("debian gnu/linux", "debian"),
    ("debian", "debian"),
    ("linux mint", "linuxmint"),
    ("alpine linux", "alpine"),
    ("arch linux", "arch"),
    ("gentoo", "gentoo"),
    ("slackware", "slackware"),
    ("photon", "photon"),
    ("vmware photon", "photon"),
)

LIKE = {
    "centos": ("rhel", "fedora"),
    "ol": ("rhel", "fedora"),
    "rhel": ("fedora",),
    "scientific": ("rhel", "centos", "fedora"),
    "rocky": ("rhel", "centos", "fedora"),
    "almalinux": ("rhel", "centos", "fedora"),
    "cloudlinux": ("rhel", "centos", "fedora"),
    "amzn": ("rhel", "fedora"),
    "ubuntu": ("debian",),
    "linuxmint": ("ubuntu", "debian"),
    "sles": ("suse",),
    "sled": ("suse",),
    "opensuse": ("suse",),
}
"""ID_LIKE for release files that have none, as the distribution's os-release says today."""

ALIASES = {
    "redhatenterpriseserver": "rhel",
    "redhatenterprise": "rhel",
    "redhat": "rhel",
    "oracle": "ol",
    "oracleserver": "ol",
    "enterpriseenterpriseserver": "ol",
    "amazon": "amzn",
    "amazonami": "amzn",
    "suse linux": "opensuse",
    "sles_sap": "sles",
    "sle_hpc": "sles",
    "suse": "sles",
    "suse linux enterprise server": "sles",
    "linuxmint": "linuxmint",
}

DEBIAN = {
    "lenny": "5", "squeeze": "6", "wheezy": "7", "jessie": "8", "stretch": "9", "buster": "10", "bullseye": "11",
    "bookworm": "12", "trixie": "13", "forky": "14", "duke": "15",
}  # fmt: skip
