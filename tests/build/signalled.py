"""The program as it is, with a signal to itself at the n-th write."""

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
