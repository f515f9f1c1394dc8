"""Editor operations for Windows."""
