"""The rule author's kit: what a new rule, system or target starts from, what cases show, and who vouches for a pack."""
