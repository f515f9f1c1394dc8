"""The types of what a start of a guest showed, as a document; see :mod:`guestfix.base.shapes`."""

from __future__ import annotations

from typing import Annotated, NotRequired, TypedDict

from guestfix.base.record import Says
from guestfix.base.shapes import Digest, Seconds, Whole
from guestfix.plan.shapes import Number
from guestfix.verify.model import PROOFS, Ending
from guestfix.walk.model import WORST

_SIGNS = ", ".join([*PROOFS, "disks", "root-mounted", "network-online", "degraded"])


class StopOut(TypedDict):
    """Where a boot ended."""

    step: Annotated[str, Says(description="a step of the walk; empty where nothing tells")]
    also: Annotated[list[str], Says(description="the steps that the same sign may be of")]
    why: str
    line: Annotated[str, Says(description="the line of the console that showed it")]
    seconds: Seconds


class ReachedOut(TypedDict):
    """A step of the walk beside what was seen."""

    id: str
    reached: Annotated[bool | None, Says(description="null where nothing tells")]
    seconds: Annotated[float | None, Says(description="since the start of the machine")]
    sign: Annotated[str | None, Says(description="the mark that proves it, or stop")]
    said: Annotated[str, Says(enum=WORST, description="what the walk said of it before")]
    agrees: Annotated[bool | None, Says(description="null where the two can't be compared")]


class MarkOut(TypedDict):
    """A sign that was seen."""

    name: Annotated[str, Says(description=f"one of: {_SIGNS}")]
    seconds: Seconds
    line: str


class DhcpOut(TypedDict):
    """What went over the NIC to get an address."""

    requests: Whole
    lease: str | None
    seconds: NotRequired[Annotated[float | None, Says(description="when the lease came")]]


class HardwareOut(TypedDict):
    """The machine that the guest was started on."""

    target: str
    accelerator: Annotated[str, Says(description="KVM, or emulation")]
    because: str
    firmware: Annotated[str, Says(enum=["bios", "uefi"])]
    secure_boot: bool
    disk: str
    nic: str
    stand_ins: Annotated[
        list[str],
        Says(description="what QEMU lacks of the target, what is in its place, and why a start here proves nothing"),
    ]
    program: str


class ConsoleOut(TypedDict):
    """The text of the serial port, and how many bytes of it were left out."""

    text: str
    dropped: Whole


class StartOut(TypedDict):
    """What one start showed, and which state of the guest it was."""

    state: Annotated[str, Says(description="as it is; with --before-and-after: before, after, reverted")]
    ending: Ending
    stop: StopOut | None
    steps: list[ReachedOut]
    marks: list[MarkOut]
    failed_units: list[str]
    waited_for: list[str]
    dhcp: DhcpOut
    addresses: Annotated[list[str], Says(description="what the guest used as its own on the NIC")]
    ssh_banner: str | None
    seconds: Seconds
    hardware: HardwareOut
    console: ConsoleOut


class StartedOut(TypedDict):
    """The guest that was started, by which a report finds its starts."""

    uri: str
    identity: Digest


class VerifyOut(TypedDict):
    """Every start of a run of verify."""

    schema: Number
    guest: NotRequired[StartedOut]
    plan_digest: NotRequired[
        Annotated[str, Says(description="of what report says of the guest as it was given, on that target")]
    ]
    starts: list[StartOut]
