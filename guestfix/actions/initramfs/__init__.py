"""Actions for initial RAM filesystems and kernel modules."""
