"""The ground floor: the few types and helpers that everything else is written against."""

MADE = 100_000
"""Containers that are made before those are looked for that hold each other: Python's 700 are an eighth of a report."""
