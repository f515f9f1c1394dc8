"""Findings about software that belongs to a platform, that watches the guest, sets its clock, or asks a cloud."""

from __future__ import annotations

from guestfix.base.catalog.findings.kind import Kind

# fmt: off
SOFTWARE: dict[str, Kind] = {
    "GF-CLOUD-INIT-DISKS": Kind("services", "warning info",
        "cloud-init's configuration names disks by a name that the target gives to another one, or to none.",
        "take disk_setup, fs_setup and mounts of the old platform out of the file, or name the disks by UUID"),
    "GF-CLOUD-INIT-NIC": Kind("network", "warning",
        "cloud-init fails where a network that it sets up names a NIC that the target does not have.",
        "take the address out of the file, or choose --policy cloud_init_network=auto"),
    "GF-CLOUD-INIT-RENDERER": Kind("services", "warning",
        "cloud-init writes the network of a new instance for a program that this guest does not use.",
        "name the renderer of what the guest uses in system_info of the file, or keep cloud-init from the network: "
        "--policy cloud_init_network=disabled"),
    "GF-CLOUD-INIT-REWRITES": Kind("services", "info",
        "cloud-init writes settings of the guest anew where the target names a new instance.",
        "nothing where that is wanted; --policy cloud_init_instance=keep keeps them"),
    "GF-CLOUD-INIT-SEED": Kind("services", "info",
        "The guest's own files have an instance for cloud-init, which is the old one.",
        "nothing where it is to stay so; --policy cloud_init_instance=new takes it out, for what the target brings"),
    "GF-CLOUD-INIT-SOURCES": Kind("services", "warning",
        "cloud-init looks for data sources that the target does not have.",
        "name the target's in datasource_list of /etc/cloud/cloud.cfg.d, or switch cloud-init off"),
    "GF-REPOSITORY-OLD": Kind("services", "warning info",
        "Packages come from servers that the old cloud keeps for its own guests.",
        "name public servers, or register the guest with its maker"),
    "GF-SOFTWARE-LEFT": Kind("services", "info",
        "Guest software of the old platform starts on the target, where it has no work.",
        "uninstall it once the guest runs; --policy leftovers=disable keeps it from starting until then"),
    "GF-SOFTWARE-REQUIRED": Kind("services", "warning",
        "A unit of the guest can't start without guest software of the old platform, which is left on for it.",
        "take the line out of the unit (Wants= instead of Requires=), then disable the old platform's software"),
    "GF-SOFTWARE-SECURITY": Kind("services", "info",
        "Antivirus or intrusion detection is installed, which watches files that are changed here.",
        "tell its console of the move: changed files are expected, and some agents have to register again"),
    "GF-TIME-CLOCKSOURCE": Kind("services", "info",
        "Arguments of the kernel choose a clock for the old hypervisor.",
        "take the argument out once the guest runs, and see what /sys/devices/system/clocksource offers"),
    "GF-TIME-SOURCE-NONE": Kind("services", "warning",
        "No source of time is left but those of the old platform.",
        "name time servers that the new network reaches, or have its DHCP server do so"),
    "GF-TIME-SOURCE-OLD": Kind("services", "warning",
        "The guest's clock goes by a time server or a device that only the old platform has.",
        "take it out, and name a source that the target has"),
}
