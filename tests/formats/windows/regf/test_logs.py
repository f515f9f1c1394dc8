"""Transaction logs: replayed as Windows does, and only where they fit the hive."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.base.errors import EditError
from guestfix.formats.windows.regf import REG_DWORD, BadHive, Hive
from guestfix.formats.windows.regf.logs import marvin32
from tests.build.hive_logs import SECTOR, changed_pages, entry, new_log, sealed, two_states
from tests.build.hive_oracles import corpus_hive, hivex, listing
from tests.build.hive_soundness import check


def old_log(before: bytes, after: bytes, sequence: int) -> bytes:
    """Return a log of the old format that turns before into after."""
    pages = changed_pages(before, after, SECTOR)
    vector = bytearray((len(after) - 4096) // SECTOR // 8)
    for at in pages:
        bit = (at - 4096) // SECTOR
        vector[bit >> 3] |= 1 << (bit & 7)
    body = b"DIRT" + vector
    body = body.ljust(-(-len(body) // SECTOR) * SECTOR, b"\0")
    base = sealed(after[:SECTOR], first=sequence, second=sequence, kind=1)
    return base + body + b"".join(after[at : at + SECTOR] for at in pages)


def test_marvin32_gives_published_hashes() -> None:
    # the hash of an entry of the real log in the corpus: its own header names it
    log = corpus_hive("transactions_ntuser.dat.log1")
    first, second = struct.unpack_from("<QQ", log, SECTOR + 24)
    length = struct.unpack_from("<I", log, SECTOR + 4)[0]
    assert marvin32(log[SECTOR : SECTOR + 32]) == second
    assert marvin32(log[SECTOR + 40 : SECTOR + length]) == first


def test_real_hive_is_recovered_as_an_independent_reader_recovers_it(tmp_path: Path) -> None:
    recovery = pytest.importorskip("regipy.recovery", reason="regipy is not installed")
    data, log = corpus_hive("transactions_NTUSER.DAT"), corpus_hive("transactions_ntuser.dat.log1")
    (tmp_path / "NTUSER.DAT").write_bytes(data)
    (tmp_path / "log1").write_bytes(log)
    restored, pages = recovery.apply_transaction_logs(
        str(tmp_path / "NTUSER.DAT"), str(tmp_path / "log1"), restored_hive_path=str(tmp_path / "out")
    )
    hive = Hive.open(data, (log, corpus_hive("transactions_ntuser.dat.log2")))
    assert hive.dirty and hive.recovered and not hive.refusal and pages > 50
    theirs = Path(restored).read_bytes()
    ours = bytes(hive.store.data)
    assert ours[4096 : hive.store.end] == theirs[4096 : hive.store.end]
    hive.set_value("Environment", "GUESTFIX", REG_DWORD, 1)
    written = hive.to_bytes()
    assert check(written).problems == []
    assert hivex().read(written) == listing(hive) == listing(Hive.open(written))
    assert len(listing(hive)) > len(listing(Hive.open(data)))


def test_written_hive_is_clean_and_newer_than_its_logs() -> None:
    data = corpus_hive("transactions_NTUSER.DAT")
    logs = (corpus_hive("transactions_ntuser.dat.log1"), corpus_hive("transactions_ntuser.dat.log2"))
    hive = Hive.open(data, logs)
    assert hive.to_bytes() is data  # nothing was changed, so nothing is written
    hive.set_value("Environment", "GUESTFIX", REG_DWORD, 1)
    again = Hive.open(hive.to_bytes(), logs)
    assert not again.dirty and again.get("Environment", "GUESTFIX") == 1
    highest = struct.unpack_from("<I", logs[0], 4)[0]
    assert again.header.sequence1 == again.header.sequence2 > highest


def test_old_log_is_replayed() -> None:
    before, after = two_states()
    dirty = sealed(before, first=11, second=10)
    hive = Hive.open(dirty, (old_log(before, after, 11),))
    assert hive.recovered
    assert listing(hive) == listing(Hive.open(after))
    hive.set_value("More", "", REG_DWORD, 1)
    written = hive.to_bytes()
    assert check(written).problems == []
    assert hivex().read(written) == listing(hive)


def test_old_log_is_replayed_as_an_independent_reader_replays_it(tmp_path: Path) -> None:
    recovery = pytest.importorskip("regipy.recovery", reason="regipy is not installed")
    before, _ = two_states()
    hive = Hive.open(before)
    for number in range(0, 200, 3):
        hive.set_value(f"Key{number}", "Value", REG_DWORD, 77 + number)
    after = hive.to_bytes()
    assert len(after) == len(before)
    dirty, log = sealed(before, first=11, second=10), old_log(before, after, 11)
    (tmp_path / "hive").write_bytes(dirty)
    (tmp_path / "log").write_bytes(log)
    restored, pages = recovery.apply_transaction_logs(
        str(tmp_path / "hive"), str(tmp_path / "log"), restored_hive_path=str(tmp_path / "out")
    )
    ours = Hive.open(dirty, (log,))
    assert pages > 10 and ours.recovered
    assert bytes(ours.store.data)[4096:] == Path(restored).read_bytes()[4096:] == after[4096:]


def test_a_log_that_was_cut_while_it_was_written_is_passed_over() -> None:
    """The old format has no hashes: pages that never came make bins that are none."""
    before, after = two_states()
    dirty = sealed(before, first=11, second=10)
    good, torn = old_log(before, after, 11), bytearray(old_log(before, after, 12))
    pages = len(changed_pages(before, after, SECTOR)) * SECTOR
    torn[-pages:] = bytes(pages)
    hive = Hive.open(dirty, (bytes(torn), good))
    assert hive.recovered and listing(hive) == listing(Hive.open(after))
    hive = Hive.open(dirty, (bytes(torn),))
    assert not hive.recovered and "none of its logs" in hive.refusal
    assert listing(hive) == listing(Hive.open(before))


def test_old_log_of_another_time_is_not_replayed() -> None:
    before, after = two_states()
    log = bytearray(old_log(before, after, 11))
    log[12] ^= 1
    hive = Hive.open(sealed(before, first=11, second=10), (sealed(log),))
    assert not hive.recovered and "none of its logs" in hive.refusal


@pytest.mark.parametrize(("time", "recovered"), [(99, True), (98, True), (100, False)])
def test_old_log_restores_a_broken_base_block(time: int, recovered: bool) -> None:
    """The first bin's time is the log's, or older: then the bin was not written any more."""
    before, after = two_states()
    broken = bytearray(sealed(before, first=11, second=10))
    broken[44:512] = b"\xff" * 468
    struct.pack_into("<Q", broken, 4096 + 20, time)
    hive = Hive.open(bytes(broken), (old_log(before, after, 11),))
    assert hive.recovered == recovered
    assert not recovered or listing(hive) == listing(Hive.open(after))


def test_new_logs_are_replayed_in_the_order_of_their_numbers() -> None:
    before, after = two_states()
    middle = Hive.open(before)
    middle.set_value("Key1", "Value", REG_DWORD, 77)
    between = middle.to_bytes()
    dirty = sealed(before, first=21, second=20)
    one = new_log(before, entry(before, between, 20), sequence=20)
    two = new_log(before, entry(between, after, 21), sequence=21)
    for logs in ((one, two), (two, one)):
        hive = Hive.open(dirty, logs)
        assert hive.recovered and listing(hive) == listing(Hive.open(after))
    only_first = Hive.open(dirty, (one,))
    assert only_first.get("Key1", "Value") == 77


def test_entry_after_a_gap_is_not_applied() -> None:
    before, after = two_states()
    middle = Hive.open(before)
    middle.set_value("Key1", "Value", REG_DWORD, 77)
    between = middle.to_bytes()
    log = new_log(before, entry(before, between, 20), entry(between, after, 22), sequence=20)
    hive = Hive.open(sealed(before, first=21, second=20), (log,))
    assert hive.get("Key1", "Value") == 77 and hive.key("New") is None


def test_entry_with_a_wrong_hash_ends_recovery() -> None:
    before, after = two_states()
    spoiled = bytearray(new_log(before, entry(before, after, 20), sequence=20))
    spoiled[SECTOR + 600] ^= 1
    hive = Hive.open(sealed(before, first=21, second=20), (bytes(spoiled),))
    assert not hive.recovered and hive.refusal
    assert listing(hive) == listing(Hive.open(before))


def test_what_is_written_is_newer_than_remnants_in_the_logs() -> None:
    """A remnant that follows the entries would be replayed over a hive whose number leads up to it."""
    before, after = two_states()
    log = new_log(before, entry(before, after, 20), entry(before, after, 90), sequence=20)
    hive = Hive.open(sealed(before, first=21, second=20), (log,))
    assert hive.recovered
    hive.create_key("Mine")
    assert Hive.open(hive.to_bytes()).header.sequence1 == 91


def test_older_entries_are_not_applied() -> None:
    before, after = two_states()
    log = new_log(before, entry(before, after, 19), sequence=19)
    hive = Hive.open(sealed(before, first=21, second=20), (log,))
    assert not hive.recovered and hive.key("New") is None


def test_logs_of_a_clean_hive_are_not_looked_at() -> None:
    before, after = two_states()
    hive = Hive.open(before, (b"nonsense", old_log(before, after, 30)))
    assert not hive.dirty and hive.key("New") is None and not hive.refusal


@pytest.mark.parametrize("log", [b"", b"x", b"regf" + bytes(600), b"HvLE" * 500], ids=("empty", "x", "zeros", "noise"))
def test_useless_logs_mean_no_writing(log: bytes) -> None:
    before, _ = two_states()
    hive = Hive.open(sealed(before, first=21, second=20), (log,))
    with pytest.raises(EditError):
        hive.set_value("Key1", "Value", REG_DWORD, 1)


def test_hive_with_a_broken_start_and_no_logs_is_no_hive() -> None:
    before, _ = two_states()
    with pytest.raises(BadHive):
        Hive.open(b"\0" * 512 + before[512:])


BEFORE, AFTER = two_states()
DIRTY = sealed(BEFORE, first=21, second=20)
LOGS = (old_log(BEFORE, AFTER, 21), new_log(BEFORE, entry(BEFORE, AFTER, 20), sequence=20))


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(LOGS),
    st.lists(st.tuples(st.integers(0, 160), st.one_of(st.integers(0, 0xFFFFFFFF), st.just(0x7FFFF000))), max_size=5),
    st.booleans(),
    st.booleans(),
)
def test_damaged_logs(log: bytes, patches: list[tuple[int, int]], seal: bool, broken: bool) -> None:
    """Whatever a log says, the hive is recovered, opened as it was and not written, or refused."""
    data = bytearray(log)
    for at, word in patches:
        struct.pack_into("<I", data, at * 4, word)
    spoiled = bytes(data) if not seal else sealed(data)
    primary = DIRTY if not broken else DIRTY[:500] + b"\0" * 12 + DIRTY[512:]
    try:
        hive = Hive.open(primary, (spoiled, log[:3000]))
    except BadHive:
        return
    assert hive.recovered or hive.refusal
    assert len(hive.store.data) < 4 * len(DIRTY)
    if not hive.recovered:
        assert listing(hive) == listing(Hive.open(BEFORE))
