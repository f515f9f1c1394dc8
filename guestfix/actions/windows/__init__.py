"""Actions for Windows."""
