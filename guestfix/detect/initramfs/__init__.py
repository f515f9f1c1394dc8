"""What is learned of initial RAM filesystems and kernel modules."""
