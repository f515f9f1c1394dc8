"""The program as it is, with a signal to itself at the n-th write, or a pause there until it may go on."""

from __future__ import annotations

import signal

from tests.build.faults import WRITES

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

_PROGRAM = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from guestfix.backends.MODULE import WRITER
which, at, count = int(sys.argv[2]), int(sys.argv[3]), 0
if which != signal.SIGKILL:
    signal.signal(which, signal.SIG_DFL)  # a shell's background job ignores some, and so would guestfix
def wrap(name):
    plain = getattr(WRITER, name)
    def method(self, *args):
        global count
        count += 1
        if count == at:
            os.kill(os.getpid(), which)
        return plain(self, *args)
    setattr(WRITER, name, method)
for name in WRITES:
    wrap(name)
sys.argv = ["guestfix", *sys.argv[4:]]
from guestfix.__main__ import main
sys.exit(main())
"""


def program_of(module: str, writer: str) -> str:
    """Return a Python program that takes the repository, the signal, the number of the write, and guestfix' arguments.

    ``writer`` is the class of this module of the backends whose methods write.
    """
    return _PROGRAM.replace("MODULE", module).replace("WRITER", writer).replace("WRITES", repr(WRITES))


_PAUSING = """
import os, pathlib, sys, time
sys.path.insert(0, sys.argv[1])
from guestfix.backends.MODULE import WRITER
from guestfix.backends.disks import commit
from guestfix.stage.session import Session
flags, at, count = pathlib.Path(sys.argv[2]), sys.argv[3], 0
def pause():
    (flags / "paused").touch()
    end = time.monotonic() + 120
    while not (flags / "go").exists() and time.monotonic() < end:
        time.sleep(0.01)
def wrap(home, name, here):
    plain = getattr(home, name)
    def method(*args, **words):
        if here(*args):
            pause()
        return plain(*args, **words)
    setattr(home, name, method)
def counted(*args):
    global count
    count += 1
    return str(count) == at
for name in WRITES:
    wrap(WRITER, name, counted)
wrap(commit, "qemu_img", lambda *args: at == "commit" and args[0] == "commit")
wrap(Session, "apply", lambda *args: at == "planned")
wrap(Session, "revert", lambda *args: at == "planned")
wrap(Session, "save", lambda *args: at == "written")
sys.argv = ["guestfix", *sys.argv[4:]]
from guestfix.__main__ import main
sys.exit(main())
"""


def pausing_at(module: str, writer: str) -> str:
    """Return a Python program that takes the repository, a folder, where to pause, and guestfix' arguments.

    It pauses before the n-th write, before what was ``planned`` is begun, once all is ``written``, or in the
    ``commit`` into an image: then the folder has a file ``paused``, and it goes on when there is one called ``go``.
    """
    return _PAUSING.replace("MODULE", module).replace("WRITER", writer).replace("WRITES", repr(WRITES))
