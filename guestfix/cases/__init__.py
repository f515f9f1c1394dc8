"""A rule's cases: running them, and making one from a guest."""
