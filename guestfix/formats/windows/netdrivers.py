"""Windows' network drivers by service: the devices they serve, the card, since when they are in-box, what brings them.

What a Windows of version 8 or later brings its own database tells (the hive DRIVERS); these ranges count where that
is not there. Sources: nete1g3e.inf of Windows 7 to Windows 11 25H2 (E1G60, also in a real Windows 7 hive), net1ic64.inf
of Windows 8 to 11 (82574L; "Deploy Nano Server" of Microsoft names it), netrtl64.inf of Windows 7 to 11 24H2,
wnetvsc.inf; "Choosing a network adapter" of VMware (KB 1001805) for PCnet, and for VMXNET3, which only VMware
Tools brings; the .inf files of virtio-win, AWS and Google for theirs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from guestfix.base.record import frozen
from guestfix.formats.windows.inf import decode

Version = tuple[int, int]
NEVER: Version = (999, 0)
"""Later than any Windows."""


@frozen
class NetworkDriver:
    """A network driver. ``since`` and ``until`` are the first and last version of Windows that brings it along."""

    card: str
    package: str
    devices: tuple[str, ...]
    since: Version = NEVER
    until: Version = NEVER
    infs: tuple[str, ...] = ()

    def in_box(self, version: Version | None) -> bool:
        """Tell whether this Windows brings the driver; where its version isn't known, whether any does."""
        return self.since != NEVER if version is None else self.since <= version <= self.until


_VMXNET3 = ("PCI\\VEN_15AD&DEV_07B0",)
_TOOLS = "the VMXNET3 driver of VMware Tools"
_ENA = tuple(f"PCI\\VEN_1D0F&DEV_{one}" for one in ("EC20", "EC21", "0EC2", "1EC2"))
_VIRTIO = ("PCI\\VEN_1AF4&DEV_1000", "PCI\\VEN_1AF4&DEV_1041")
_NETVSC = ("VMBUS\\{f8615163-df3e-46c5-913f-f2d2f965ed0e}",)
_INTEL = "Intel's PRO/1000 driver"

NETWORK_DRIVERS = {
    "netkvm": NetworkDriver("virtio-net", "NetKVM of the virtio-win ISO", _VIRTIO),
    "ena": NetworkDriver("Elastic Network Adapter", "the AWS ENA driver (AwsEnaNetworkDriver)", _ENA),
    "gvnic": NetworkDriver(
        "gVNIC", "Google's driver (google-compute-engine-driver-gvnic)", ("PCI\\VEN_1AE0&DEV_0042",), infs=("gve",)
    ),
    "vmxnet3ndis6": NetworkDriver("VMXNET3", _TOOLS, _VMXNET3, infs=("vmxnet3",)),
    "vmxnet3ndis5": NetworkDriver("VMXNET3", _TOOLS, _VMXNET3, infs=("vmxnet3",)),
    "netvsc": NetworkDriver(
        "Hyper-V network adapter", "the Hyper-V integration services", _NETVSC, (6, 1), infs=("wnetvsc",)
    ),
    "xennet": NetworkDriver("Xen PV network", "the AWS PV drivers, or those of the Xen platform", ()),
    "e1g60": NetworkDriver("E1000", _INTEL, ("PCI\\VEN_8086&DEV_100E", "PCI\\VEN_8086&DEV_100F"), (6, 0)),
    "e1iexpress": NetworkDriver("E1000E", _INTEL, ("PCI\\VEN_8086&DEV_10D3",), (6, 2)),
    "e1express": NetworkDriver("E1000E", _INTEL, ("PCI\\VEN_8086&DEV_10D3",)),
    "rtl8139": NetworkDriver("RTL8139", "Realtek's driver", ("PCI\\VEN_10EC&DEV_8139",), (5, 0)),
    "pcnet": NetworkDriver("PCnet (Flexible)", "AMD's driver", ("PCI\\VEN_1022&DEV_2000",), (5, 0), (5, 2)),
}


def of(name: str) -> NetworkDriver:
    """Return what is known of a driver; of one that nobody knows, just its name."""
    return NETWORK_DRIVERS.get(name) or NetworkDriver(name, f"the driver {name}", ())


def brings(inf: bytes, name: str, devices: Sequence[str]) -> bool:
    """Tell whether a driver package's .inf file names one of these devices, or adds this service."""
    text = decode(inf).upper()
    if any(one.upper() in text for one in devices):
        return True
    return re.search(rf"^\s*ADDSERVICE\s*=\s*{re.escape(name.upper())}\b", text, re.MULTILINE) is not None
