"""The program's entry: ``--version`` is answered before anything else is loaded."""

from __future__ import annotations

import sys


def main() -> int:
    """Run guestfix with the process' arguments and return its exit status."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from guestfix import __version__

        sys.stdout.write(f"guestfix {__version__}\n")
        return 0
    if sys.argv[1:2] in (["apply"], ["revert"]):
        from guestfix.commands.signals import catch

        catch()
    from guestfix.cli import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
