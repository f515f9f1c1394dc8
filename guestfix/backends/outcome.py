"""What becomes of a changed image: an overlay beside it, a commit into it, or a new image; and its checks."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from guestfix.backends.disks import overlaydisk
from guestfix.backends.disks.commit import can_commit, commit
from guestfix.backends.disks.hostfiles import HostFile, below, type_name
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
    """Where the changed disks are. ``how`` is ``overlay``, ``committed`` or ``converted``.

    ``elsewhere`` are folders of files that they need and that must be allowed, for they don't lie below their own;
    ``told`` are the formats that the operator told of the images, as ``--image-type`` takes them. ``backing`` is, for
    each overlay, the file that it needs.
    """

    how: str
    files: tuple[str, ...]
    elsewhere: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    backing: tuple[str, ...] = ()


class ImageWriter(ABC):
    """What a backend that writes images offers beyond GuestWriter."""

    uri: str
    overlays: Overlays
    recovered: tuple[str, ...] = ()
    """Images whose change in place had been cut off, and was finished when the guest was opened."""
    needs_saving = True
    """What is written to it is gone unless ``save`` is called."""

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
        read = [one for one in disks[0].image.host.opened if not in_place or not one.named]
        images = [one.image for one in disks]
        told = tuple(f"{one.path}={type_name(one.format)}" for one in images if one.host.told(one.path, named=True))
        if in_place:
            done = tuple(commit(disks))
            return Saved("committed", done, _elsewhere(done, read), told)
        if fmt:
            return Saved("converted", tuple(overlaydisk.convert(disks, output, fmt)))
        kept = tuple(overlaydisk.keep(disks, output))
        return Saved("overlay", kept, _elsewhere(kept, read), told, tuple(one.file.path for one in images))

    def format_for(self, output: str) -> str:
        """Return the format that a whole new image of this name has: as its name says, else as the first disk has."""
        tail = output.rpartition(".")[2].lower() if "." in os.path.basename(output) else ""
        named = {"img": "raw", **{overlaydisk.SUFFIXES.get(one, one): one for one in overlaydisk.FORMATS}}
        own = self.overlays.disks[0].image.format
        return named.get(tail) or (own if own in overlaydisk.FORMATS else "qcow2")

    def can_save(self, *, in_place: bool = False, output: str = "", fmt: str = "") -> None:
        """Raise, before anything is written, what save would raise for names and permissions."""
        if in_place:
            can_commit(self.overlays.disks)
        else:
            overlaydisk.output_names(self.overlays.disks, output, fmt or "qcow2")


def _elsewhere(made: Sequence[str], read: Sequence[HostFile]) -> tuple[str, ...]:
    own = [os.path.dirname(os.path.realpath(place)) for place in made]
    folders = {os.path.dirname(one.real) for one in read}
    return tuple(sorted(one for one in folders if not all(below(one, folder) for folder in own)))
