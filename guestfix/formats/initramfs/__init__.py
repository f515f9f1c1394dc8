"""File formats for initial RAM filesystems and kernel modules."""
