"""Editor operations for initial RAM filesystems and kernel modules."""
