"""The ground floor: the few types and helpers that everything else is written against."""
