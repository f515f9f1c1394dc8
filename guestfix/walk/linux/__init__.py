"""The steps of a Linux boot."""
