"""What becomes of a changed image: an overlay beside it, a commit into it, or a new image; and its checks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

from guestfix.backends.disks import overlaydisk
from guestfix.backends.disks.overlaydisk import Overlays
from guestfix.base.record import frozen


@frozen
class Check:
    """A filesystem check after writing. ``code`` is the checker's exit status, None where none was run."""

    device: str
    filesystem: str
    command: str
    code: int | None
    said: str

    @property
    def clean(self) -> bool | None:
        """True where the checker found nothing, None where there was no checker."""
        return None if self.code is None else self.code == 0


@frozen
class Saved:
    """Where the changed disks are. ``how`` is ``overlay``, ``committed`` or ``converted``."""

    how: str
    files: tuple[str, ...]


class ImageWriter(ABC):
    """What a backend that writes images offers beyond GuestWriter."""

    overlays: Overlays

    @abstractmethod
    def check(self) -> tuple[Check, ...]:
        """Unmount everything, check every filesystem without repairing it, and let go of the disks."""

    @abstractmethod
    def close(self) -> None:
        """Let go of everything; what was not saved is gone. May be called twice."""

    @contextmanager
    def closing(self) -> Iterator[None]:
        """Close when the block ends."""
        try:
            yield
        finally:
            self.close()

    def save(self, *, in_place: bool = False, output: str = "", fmt: str = "") -> Saved:
        """Make the changes last, after ``check``: all disks or none.

        By default each overlay is moved beside its image as NAME.guestfix.qcow2, and the image stays as it
        was. ``in_place`` commits into the images; ``fmt`` writes new images of that format.
        """
        disks = self.overlays.disks
        if in_place:
            return Saved("committed", tuple(overlaydisk.commit(disks)))
        if fmt:
            return Saved("converted", tuple(overlaydisk.convert(disks, output, fmt)))
        return Saved("overlay", tuple(overlaydisk.keep(disks, output)))

    def can_save(self, *, in_place: bool = False, output: str = "", fmt: str = "") -> None:
        """Raise, before anything is written, what save would raise for names and permissions."""
        if in_place:
            overlaydisk.can_commit(self.overlays.disks)
        else:
            overlaydisk.output_names(self.overlays.disks, output, fmt or "qcow2")
