"""The steps of a Windows boot."""
