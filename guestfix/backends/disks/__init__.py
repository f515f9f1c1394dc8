"""Disk images: their formats, chains and overlays, and what a description says of disks."""
