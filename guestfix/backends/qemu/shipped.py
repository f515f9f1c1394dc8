"""The Python modules that a machine's agent needs: run by the interpreter that the machine will have.

Prints, as marshal has it, a list of (path, code): compiled code of a module of Python or guestfix, or None for an
extension module, which is a library.
"""

import importlib
import marshal
import sys

AGENT = "guestfix.backends.machine.agent"
NEEDED = (
    AGENT, "guestfix.backends.machine.line", "guestfix.backends.machine.machine",
    "encodings.ascii", "encodings.cp437", "encodings.latin_1", "encodings.utf_16_be", "encodings.utf_16_le",
    "guestfix.backends.disks.naming", "guestfix.backends.volumes.md", "guestfix.formats.windows.regf.names",
    "guestfix.base.cache", "guestfix.base.secretfiles", "guestfix.formats.ini", "array", "ast", "atexit", "copy",
    "difflib", "fcntl", "glob", "grp", "hashlib", "heapq", "hmac", "pwd", "traceback", "unicodedata",
    "urllib.parse", "uuid",
)  # fmt: skip
"""What it imports at its start, and what these import later; tests/backends/qemu/test_shipped.py keeps the list."""


def main() -> None:
    """Import what is needed, and write what that loaded."""
    sys.path.insert(0, sys.argv[1])
    for name in NEEDED:
        importlib.import_module(name)
    found = []
    for name, module in sorted(sys.modules.items()):
        spec = getattr(module, "__spec__", None)
        path = getattr(module, "__file__", None)
        if name == "__main__" or spec is None or not path:
            continue
        code = spec.loader.get_code(spec.name) if path.endswith((".py", ".pyc")) else None
        found.append((path, None if code is None else marshal.dumps(code)))
    sys.stdout.buffer.write(marshal.dumps((importlib.util.MAGIC_NUMBER, found)))


if __name__ == "__main__":
    import importlib.util

    main()
