"""Doing a Plan and undoing it, with a journal in the guest."""
