"""Filesystems, read from their bytes."""
