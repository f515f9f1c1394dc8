"""Long sequences of edits of real and new hives: after each round every independent reader must agree with ours."""

from __future__ import annotations

import random
import re
import subprocess
from pathlib import Path

import pytest

from guestfix.formats.windows.regf import Hive, empty_hive
from tests.build.hive_oracles import corpus_hive, hivex, listing, python_registry, tool
from tests.build.hive_soundness import check

NAMES = ("a", "B", "Services", "b c", "z.z", "\u00e9", "\u00d6", "x" * 200)
SIZES = (0, 2, 4, 5, 50, 1000, 16344, 16345, 40_000)
ROOT = "Fuzz"


def path(rnd: random.Random) -> str:
    return "\\".join([ROOT, *(rnd.choice(NAMES) for _ in range(rnd.randrange(1, 4)))])


def step(hive: Hive, rnd: random.Random) -> None:
    """Set, remove, create, delete or move something below ROOT; now and then hundreds of keys at once."""
    action = rnd.randrange(20)
    if action < 8:
        name = rnd.choice(("", *NAMES, f"v{rnd.randrange(60)}"))
        big = 1_100_000 if hive.store.minor > 3 else 1_000_000
        size = big if rnd.random() < 0.01 else rnd.choice(SIZES)
        hive.set_value(path(rnd), name, rnd.choice((1, 3, 4, 7, 11, 0x12345)), rnd.randbytes(size))
    elif action < 11:
        hive.delete_value(path(rnd), rnd.choice(NAMES))
    elif action < 14:
        hive.delete_key(path(rnd), recursive=True)
    elif action < 16:
        move(hive, path(rnd), f"{ROOT}\\moved{rnd.randrange(9)}")
    elif action < 18:
        hive.create_key(path(rnd))
    elif action == 18:
        for number in rnd.sample(range(4000), rnd.choice((50, 700))):
            hive.create_key(f"{ROOT}\\many\\n{number}")
    elif (many := hive.key(f"{ROOT}\\many")) is not None:
        names = [key.name for key in many.subkeys()]
        for name in rnd.sample(names, len(names) * 2 // 3):
            hive.delete_key(f"{ROOT}\\many\\{name}")


def move(hive: Hive, old: str, new: str) -> None:
    key = hive.key(old)
    if key is not None:
        values = [(value.name, value.type, value.data) for value in key.values()]
        hive.create_key(new)
        for name, kind, data in values:
            hive.set_value(new, name, kind, data)
        hive.delete_key(old, recursive=True)


def reged_keys(file: Path) -> list[str]:
    """Return the keys below ROOT as reged(8) exports them."""
    out = file.with_suffix(".reg")
    out.unlink(missing_ok=True)
    command = [tool("reged"), "-x", str(file), "HKLM\\X", f"\\{ROOT}", str(out)]
    subprocess.run(command, check=True, capture_output=True)
    return re.findall(r"(?m)^\[HKLM\\X\\(.*)\]$", out.read_bytes().decode("latin-1").replace("\r", ""))


@pytest.mark.parametrize(("source", "rounds"), [("3", 8), ("5", 8), ("BCD", 5), ("SYSTEM", 1)])
def test_every_reader_agrees_after_every_round(source: str, rounds: int, tmp_path: Path) -> None:
    rnd = random.Random(f"{source} {rounds}")
    data = empty_hive("X", minor=int(source)) if source.isdigit() else corpus_hive(source)
    file = tmp_path / "hive"
    for _ in range(rounds):
        hive = Hive.open(data)
        for _ in range(rnd.choice((1, 10, 60))):
            step(hive, rnd)
        hive.set_value(ROOT, "", 1, "x")
        data = hive.to_bytes()
        assert check(data).problems == []
        found = listing(Hive.open(data))
        assert hivex().read(data) == found
        file.write_bytes(data)
        ours = [place for place, _ in found if place == ROOT or place.startswith(f"{ROOT}\\")]
        assert sorted(reged_keys(file)) == sorted(ours)
        theirs = list(python_registry(file))
        assert [(place, [value[0] for value in values]) for place, values in theirs] == [
            (place, [value[0] for value in values]) for place, values in found
        ]
        for (_, values), (_, others) in zip(found, theirs, strict=True):
            for (_, kind, raw), (_, _, other) in zip(values, others, strict=True):
                assert kind not in (1, 3) or len(raw) <= 8 or raw == other
