"""What a piped report may load and compile, counted: `make bench` measures time, and this sees what makes it grow.

A budget that is exceeded is no matter of course: each module costs a report some 150 microseconds, each pattern that
is compiled anew 200 (docs/decisions/004).
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

GUESTS = sorted(
    path for path in (Path(__file__).resolve().parents[2] / "testdata" / "guests").iterdir() if path.is_dir()
)

MODULES = 324
"""Modules of guestfix that the report of a bundled guest may load."""
OTHERS = 70
"""Modules of Python and its libraries beyond those that begin with it; 24 are PyYAML's, for netplan and cloud-init."""
PATTERNS = 160
"""Patterns that may be made of their kept forms: those of guestfix, and of PyYAML and zstandard as they load."""
AS_NEEDED = 8
"""Patterns that are put together of what the pack or the guest says, and compiled in each run."""
INITS = 24
"""Record types whose ``__init__`` may be compiled."""

COUNT = """
import json, re, sys
before = set(sys.modules)
from guestfix.base import patterns, record
used = {"patterns": 0, "compiled": 0, "as_needed": [], "inits": 0}

def counted(module, name, key):
    real = getattr(module, name)
    def run(*args, **kwargs):
        used[key] += 1
        return real(*args, **kwargs)
    setattr(module, name, run)

counted(patterns, "compile_once", "patterns")
counted(patterns, "form_of", "compiled")
counted(record, "_compile_init", "inits")

compiler = re._compiler.compile
def by_whom(pattern, flags=0):
    frame = sys._getframe(1)
    while "re" == frame.f_globals["__name__"].partition(".")[0]:
        frame = frame.f_back
    module = frame.f_globals["__name__"]
    if module.partition(".")[0] in ("guestfix", "fnmatch"):
        used["as_needed"].append(f"{module}: {pattern}")
    return compiler(pattern, flags)

re._compiler.compile = by_whom
from guestfix.cli import run
run(["report", sys.argv[1]])
loaded = set(sys.modules) - before
used["guestfix"] = sorted(one for one in loaded if one.partition(".")[0] == "guestfix")
used["others"] = sorted(one for one in loaded if one.partition(".")[0] != "guestfix")
print(json.dumps(used), file=sys.stderr)
"""


@pytest.fixture(scope="module", params=GUESTS, ids=lambda path: path.name)
def used(request, tmp_path_factory):
    """What the third report of a guest uses: the first keeps pack, disks, patterns, the second those of libraries."""
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", COUNT, str(request.param)], capture_output=True, env=env)
    return json.loads(done.stderr)


def test_a_report_loads_no_more_modules_than_its_budget(used):
    assert len(used["guestfix"]) <= MODULES, used["guestfix"]
    assert len(used["others"]) <= OTHERS, used["others"]


def test_a_warm_report_compiles_nothing_anew(used):
    assert used["compiled"] == 0
    assert len(used["as_needed"]) <= AS_NEEDED, used["as_needed"]
    assert 0 < used["patterns"] <= PATTERNS
    assert 0 < used["inits"] <= INITS


END = """
import atexit, sys, threading
sys.argv = ["guestfix", *sys.argv[1:]]
atexit.register(lambda: sys.stderr.write("was registered"))
if "busy" in sys.argv:
    sys.argv.remove("busy")
    threading.Thread(target=threading.Event().wait, args=(1,)).start()
from guestfix.__main__ import program
sys.exit(program() + 100)
"""


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["report", "--detailed-exitcode", str(GUESTS[0])], 1),
        (["inspect", str(GUESTS[0])], 0),
        (["report", "busy", str(GUESTS[0])], 100),
        (["list", "targets"], 100),
    ],
    ids=["report", "inspect", "a thread works", "another command"],
)
def test_what_only_reads_ends_at_once_and_leaves_nothing_undone(words, status):
    done = subprocess.run([sys.executable, "-c", END, *words], capture_output=True)
    assert (done.returncode, done.stderr) == (status, b"was registered")
    assert done.stdout.endswith(b"\n") and len(done.stdout) > 500
