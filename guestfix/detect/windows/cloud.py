r"""What a cloud leaves in Windows beside its agents: what cloudbase-init remembers, and who activates Windows.

Sources: cloudbase-init's osutils (``Cloudbase Solutions\Cloudbase-Init\INSTANCE\Plugins``); "Key Management Services
client activation" of Microsoft's documentation for SoftwareProtectionPlatform.
"""

from __future__ import annotations

from collections.abc import Iterator

from guestfix.base.catalog.facts.windows import WINDOWS_CLOUDBASE, WINDOWS_KMS_SERVER
from guestfix.base.facts import Finding
from guestfix.detect.windows.state import State
from guestfix.formats.windows.services import DISABLED, read_service

CLOUDBASE = (r"Cloudbase Solutions\Cloudbase-Init", r"WOW6432Node\Cloudbase Solutions\Cloudbase-Init")
CLOUDBASE_SERVICES = ("cloudbase-init", "cloudbase-init-unattend")
ACTIVATION = r"Microsoft\Windows NT\CurrentVersion\SoftwareProtectionPlatform"


def find_cloud(state: State) -> Iterator[Finding]:
    """Put ``windows.cloudbase`` and ``windows.kms_server``; yield what they do on another platform."""
    yield from _cloudbase(state)
    yield from _activation(state)


def _cloudbase(state: State) -> Iterator[Finding]:
    seen = {name: base for base in CLOUDBASE for name in state.software.names(base)}
    proofs = tuple(state.software.evidence(rf"{base}\{name}") for name, base in seen.items())
    state.facts.put(WINDOWS_CLOUDBASE, list(seen), *proofs[:8])
    services = [read_service(state.system, state.control, name) for name in CLOUDBASE_SERVICES]
    on = [one for one in services if one is not None and one.start not in (None, DISABLED)]
    if seen and on:
        shown = ", ".join(list(seen)[:4])
        text = f"cloudbase-init remembers the instance {shown}; the target gives it another id, so that it sets"
        text += " host name, users' passwords and network anew"
        remedy = "the policy cloud_init_network decides: disable it, forget the instance (clean), or keep it so"
        yield Finding("GF-WINDOWS-CLOUDBASE", "warning", text, proofs[:4], remedy)


def _activation(state: State) -> Iterator[Finding]:
    name = state.software.text(ACTIVATION, "KeyManagementServiceName")
    proof = state.software.evidence(ACTIVATION, "KeyManagementServiceName")
    state.facts.put(WINDOWS_KMS_SERVER, name, proof)
    if not name:
        return
    hosts = state.target.tables.get("kms-hosts", {})
    cloud = next((one for one, names in hosts.items() if name.lower().rstrip(".") in names), "")
    remedy = "when the guest runs: slmgr /skms HOST and slmgr /ato, or slmgr /ckms to have DNS name one"
    if cloud and cloud != state.target.cloud:
        text = f"Windows is activated by {name}, which only the old cloud ({cloud}) reaches"
        yield Finding("GF-WINDOWS-KMS", "warning", text, (proof,), remedy)
    elif not cloud:
        text = f"Windows is activated by the server {name}: see that the guest reaches it from its new network"
        yield Finding("GF-WINDOWS-KMS", "info", text, (proof,), remedy)
