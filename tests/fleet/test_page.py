"""The page of a run: what it shows, whatever guests are called, and in a browser."""

from __future__ import annotations

import pytest

from guestfix.fleet.job import OUTCOMES, Guest, Result
from guestfix.fleet.page import WIDTH, bar, render
from guestfix.fleet.rollup import roll_up
from guestfix.fleet.store import Store
from tests.build.browser import look

EVIL = "<script>window.pwned=1</script>\"'><img src=x onerror=window.pwned=1>{{ 7*7 }}\u202e"


def page(folder, count: int) -> str:
    store = Store(str(folder / f"{count}.db"), write=True)
    earlier = store.begin("report", "p", "v", 1, [])
    store.put(earlier, Guest("a", ("/x",)), Result("a", "blocked", "k", "report"))
    run = store.begin("report", "p", "v", count, [])
    for number in range(count):
        name = EVIL if number == 0 else f"guest-{number:05}"
        outcome = OUTCOMES[number % len(OUTCOMES)]
        codes = (("GF-A", "blocker", "", ""), ("GF-B", "warning", "", "")) if outcome == "blocked" else ()
        result = Result(
            name, outcome, "k", "report", f"debian {number % 30}", "kvm-virtio", "stops", "passes", "root",
            "mounts" if outcome == "blocked" else "", codes, "GF-X" if outcome == "failed" else "", EVIL,
        )  # fmt: skip
        store.put(run, Guest(name, ("/x",), tags=(f"tag {number % 3}", f"owner:{number}")), result)
    made = render(roll_up(store, run), store.rows(run), {"guest-00004": "guests/000004.html"})
    store.close()
    return made


def test_bars_fill_their_width():
    parts = bar({"ready": 1, "needs you": 2, "failed": 4})
    assert [(part.name, part.mood) for part in parts] == [("ready", "good"), ("needs you", "warn"), ("failed", "bad")]
    assert abs(parts[-1].start + parts[-1].width - WIDTH) < 0.1 and parts[0].start == 0
    assert bar({}) == []


@pytest.mark.parametrize("count", [1, 10, 3000])
def test_what_the_page_says(tmp_path, count):
    made = page(tmp_path, count)
    assert f"Run 2: {count} guests" in made and "<img" not in made and "<script>window" not in made
    assert made.count("<tr data-filter>") == min(count, 1000) and len(made) < 700_000
    assert ("2000 more: <code>guestfix fleet list</code>" in made) is (count == 3000)
    if count > 3:
        ready = made.find("guest-00005") if count == 10 else len(made)
        assert 0 < made.index("guest-00003") < ready, "who needs somebody comes first"
        assert made.count('<th scope="row">owner:') == min(count, 197)
        assert ("more, of fewer guests" in made) is (count == 3000)
        assert "GF-A" in made and "GF-B" in made and "tag 2" in made
        assert '<a href="guests/000004.html">guest-00004</a>' in made and "Run by run" in made


def test_in_a_browser(tmp_path):
    files = [tmp_path / f"{count}.html" for count in (10, 1000, 20_000)]
    for file in files:
        file.write_text(page(tmp_path, int(file.stem)), "utf-8", "surrogateescape")
    assert files[-1].stat().st_size < 700_000
    for found in look(*files):
        assert found["violations"] == {"light": [], "dark": [], "narrow": []}
        assert found["errors"] == [] and not found["pwned"] and found["elements"]["links"] == ["guests/000004.html"]
        assert not found["lightOverflow"] and not found["narrowOverflow"]
