"""What cloudbase-init remembers of an instance, by the administrator's choice."""

from __future__ import annotations

from guestfix.actions.windows.registry import disable_service, editing, editing_system, hive_path
from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.facts.windows import WINDOWS_CLOUDBASE
from guestfix.detect.windows.cloud import CLOUDBASE, CLOUDBASE_SERVICES


def cloudbase(bench: Workbench, *, policy: str, network: str) -> None:
    """Keep cloudbase-init from setting the guest up anew, or let it forget its instance and do so.

    ``policy`` is that of cloud_init_network: ``disable`` switches it off, ``clean`` removes what it remembers, ``auto``
    switches it off where ``network`` keeps the addresses.
    """
    if policy == "disable" or (policy == "auto" and network in ("preserve", "none")):
        with editing_system(bench) as (hive, controls):
            done = [disable_service(hive, control, name) for control in controls for name in CLOUDBASE_SERVICES]
        if any(done):
            bench.follow_up("cloudbase-init was disabled; switch it on again for a guest that the new cloud sets up")
    elif policy == "clean":
        with editing(bench, hive_path(bench, "SOFTWARE")) as hive:
            for base in CLOUDBASE:
                for name in bench.facts.value(WINDOWS_CLOUDBASE, []):
                    hive.delete_key(rf"{base}\{name}", recursive=True)
