"""File formats for Windows."""
