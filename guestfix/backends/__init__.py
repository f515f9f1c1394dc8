"""Backends: how a guest's files are reached. ``open_guest`` picks one by the URI."""
