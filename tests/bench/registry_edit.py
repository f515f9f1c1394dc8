"""One process of the benchmark: open a hive, read 20 values, set 5, write the file."""

import mmap
import sys

from guestfix.formats.windows.regf import REG_DWORD, REG_EXPAND_SZ, Hive

SERVICES = ["atapi", "pciide", "disk", "partmgr", "volmgr", "msahci", "Tcpip", "NDIS", "CLFS", "fvevol"]


def main(source: str, place: str) -> None:
    with open(source, "rb") as stream:
        hive = Hive.open(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
    for name in SERVICES:
        path = f"ControlSet001\\Services\\{name}"
        hive.get(path, "Start")
        hive.get(path, "ImagePath")
    path = "ControlSet001\\Services\\viostor"
    for name, number in (("Start", 0), ("Type", 1), ("ErrorControl", 1)):
        hive.set_value(path, name, REG_DWORD, number)
    hive.set_value(path, "ImagePath", REG_EXPAND_SZ, "system32\\drivers\\viostor.sys")
    hive.set_value("ControlSet001\\Services\\disk", "Start", REG_DWORD, 3)
    with open(place, "wb") as stream:
        stream.write(hive.to_bytes())


if __name__ == "__main__":
    main(*sys.argv[1:])
