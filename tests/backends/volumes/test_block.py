"""UUIDs as text, against the standard library's; and what the machine that writes loads."""

import subprocess
import sys
import uuid

from hypothesis import given
from hypothesis import strategies as st

from guestfix.backends.volumes.block import mixed, uuid_text


@given(st.binary(min_size=16, max_size=16))
def test_uuids_are_written_as_the_standard_library_does(raw: bytes) -> None:
    assert uuid_text(raw) == str(uuid.UUID(bytes=raw))
    assert uuid_text(mixed(raw)) == str(uuid.UUID(bytes_le=raw))


def test_the_machine_that_writes_loads_no_tables_and_no_module_for_one_line() -> None:
    code = "import guestfix.backends.uml.machine, guestfix.backends.uml.agent, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not [name for name in loaded if name.startswith("guestfix.base.catalog")]
    assert not loaded & {"shutil", "uuid", "traceback", "linecache", "guestfix.base.facts"}
