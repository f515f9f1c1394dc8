"""Editors of any file: a whole file, lines, groups of settings, kernel modules and sysctl."""
