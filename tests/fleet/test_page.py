"""The page of a run: what it shows, whatever guests are called, and in a browser."""

from __future__ import annotations

import re

import pytest

from guestfix.fleet.page import MOST, WIDTH, bar, ranked, render
from guestfix.fleet.pages import write_pages
from guestfix.fleet.rollup import roll_up
from tests.build.browser import look
from tests.build.fleets import results


def page(folder, count: int) -> str:
    store, run = results(folder, count)
    made = render(roll_up(store, run), ranked(store.rows(run)), {"guest-00004": "guests/000004.html"})
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
    assert ("2000 more: <code>guestfix fleet list</code>, or" in made) is (count == 3000)
    if count > 3:
        ready = made.find("guest-00005") if count == 10 else len(made)
        assert 0 < made.index("guest-00003") < ready, "who needs somebody comes first"
        assert made.count('<th scope="row">owner:') == min(count, 197)
        assert ("more, of fewer guests" in made) is (count == 3000)
        assert "GF-A" in made and "GF-B" in made and "tag 2" in made
        assert '<a href="guests/000004.html">guest-00004</a>' in made and "Run by run" in made


@pytest.mark.parametrize("count", [MOST, MOST + 1, 2 * MOST + 100])
def test_every_guest_is_on_one_page_of_the_folder(tmp_path, count):
    store, run = results(tmp_path, count)
    write_pages(store, run, str(tmp_path / "out"))
    names = [row.name for row in ranked(store.rows(run))]
    store.close()
    pages, name, listed = tmp_path / "out", "index.html", []
    while name:
        text = (pages / name).read_text()
        listed += re.findall(r'<tr data-filter><th scope="row">(.*?)</th>', text)
        (name,) = re.findall(r'href="(list-\d+\.html)"(?: rel="next"|>the next page)', text) or [""]
        assert (">Filter</label>" in text) is (count == MOST), "who filters some is told so"
    plain = [one for one in listed if not one.startswith("&lt;script&gt;")]
    assert plain == [one for one in names if one.startswith("guest-")] and len(listed) == len(plain) + 1 == count
    assert len([*pages.glob("*.html")]) == -(-count // MOST)


def test_a_page_of_the_list_in_a_browser(tmp_path):
    store, run = results(tmp_path, 2 * MOST + 100)
    write_pages(store, run, str(tmp_path / "out"))
    store.close()
    for found in look(*(tmp_path / f"out/{name}" for name in ("index.html", "list-0002.html", "list-0003.html"))):
        assert found["violations"] == {"light": [], "dark": [], "narrow": []}
        assert found["errors"] == [] and not found["pwned"]
        assert not found["lightOverflow"] and not found["narrowOverflow"]


def test_in_a_browser(tmp_path):
    files = [tmp_path / f"{count}.html" for count in (10, 1000, 20_000)]
    for file in files:
        file.write_text(page(tmp_path, int(file.stem)), "utf-8", "surrogateescape")
    assert files[-1].stat().st_size < 700_000
    for found in look(*files):
        assert found["violations"] == {"light": [], "dark": [], "narrow": []}
        assert found["errors"] == [] and not found["pwned"] and found["elements"]["links"] == ["guests/000004.html"]
        assert not found["lightOverflow"] and not found["narrowOverflow"]
