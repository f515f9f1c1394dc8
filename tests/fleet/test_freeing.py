"""Which remedies free most guests: on real guests, and by what must hold whatever blocks them."""

from __future__ import annotations

import shutil

from hypothesis import given
from hypothesis import strategies as st

from guestfix.fleet.freeing import MOST_TOGETHER, Freeing, causes, freeing
from guestfix.fleet.job import Guest, Job, work
from guestfix.fleet.rollup import roll_up, text_of
from guestfix.fleet.store import Store
from guestfix.pack.cache import load_pack

BOOT, FSTAB, WALK, MOUNT = "GF-BOOT-ROOT-UNRESOLVED", "GF-FSTAB-ROOT-UNRESOLVED", "GF-WALK-ROOT", "GF-WALK-MOUNT"
CODES = (BOOT, FSTAB, WALK, MOUNT, "GF-WALK-TARGET", "GF-UNTOLD-LOADER", "GF-OF-A-NEWER-ONE", "GF-WALK-OF-A-NEWER-ONE")


def test_real_guests_whose_root_is_named_by_device(tmp_path):
    pack = load_pack()
    shutil.copytree("testdata/guests/debian-12/root", tmp_path / "root", symlinks=True)
    store = Store(str(tmp_path / "results.db"), write=True)
    number = store.begin("report", "p", "v", 2, [])
    for name in ("a", "b"):
        guest = Guest(name, (f"dir:{tmp_path}/root",), target="kvm-virtio")
        store.put(number, guest, work(Job(guest, "report", (), pack.digest, 0)))
    seen = {code for _, code, severity, *_ in store.findings(number, "a") if severity == "blocker"}
    assert seen == {BOOT, FSTAB, WALK, MOUNT}, "the walk's stand beside their causes"
    roll = roll_up(store, number)
    assert roll.outcomes == {"blocked": 2} and roll.freeing == (Freeing((BOOT, FSTAB), 2, 2),)
    assert f"\n  {BOOT} with {FSTAB}: 2 guests, 2 freed\n" in text_of(roll)
    store.close()


def test_what_follows_from_another():
    assert causes({WALK, BOOT}) == {BOOT}
    assert causes({WALK}) == {WALK}, "nothing else says why"
    assert causes({WALK, FSTAB}) == {WALK, FSTAB}, "of another step"
    assert causes({MOUNT, "GF-WALK-TARGET"}) == {MOUNT, "GF-WALK-TARGET"}, "neither is the cause of the other"
    assert causes({"GF-OF-A-NEWER-ONE", "GF-WALK-OF-A-NEWER-ONE"}) == {"GF-OF-A-NEWER-ONE", "GF-WALK-OF-A-NEWER-ONE"}
    assert causes(()) == frozenset()


def test_rows():
    both, many = {BOOT, FSTAB, WALK}, {f"GF-{letter}" for letter in "ABCDE"}
    guests = {**{f"g{number}": both for number in range(90)}, **{f"h{number}": {BOOT, WALK} for number in range(5)}}
    assert freeing(guests, 9) == (Freeing((BOOT, FSTAB), 90, 95), Freeing((BOOT,), 95, 5))
    assert freeing({**guests, "i": many}, 20)[2:] == tuple(Freeing((code,), 1, 0) for code in sorted(many))
    assert freeing(guests, 1) == (Freeing((BOOT, FSTAB), 90, 95),) and freeing({}, 9) == ()


@given(st.dictionaries(st.integers(0, 99), st.sets(st.sampled_from(CODES), min_size=1)))
def test_what_holds_of_rows(found):
    blocked = {str(name): codes for name, codes in found.items()}
    rows = freeing(blocked, 999)
    every = {name: causes(codes) for name, codes in blocked.items()}
    assert len({row.codes for row in rows}) == len(rows) and all(every.values())
    assert [row.freed for row in rows] == sorted((row.freed for row in rows), reverse=True)
    for row in rows:
        own = set(row.codes)
        assert row.guests == sum(own <= codes for codes in every.values()) > 0
        assert row.freed == sum(codes <= own for codes in every.values()) and len(own) <= MOST_TOGETHER
    assert {code for row in rows for code in row.codes} == {code for codes in every.values() for code in codes}
