"""Results of runs over guests that nobody looked at, whatever they are called."""

from __future__ import annotations

from guestfix.fleet.job import OUTCOMES, Guest, Result
from guestfix.fleet.store import Store

EVIL = "<script>window.pwned=1</script>\"'><img src=x onerror=window.pwned=1>{{ 7*7 }}\u202e"


def results(folder, count: int) -> tuple[Store, int]:
    """Return open results of so many guests in a run after another one, with each outcome; and the run's number."""
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
    return store, run
