"""Editor operations for disks, volumes and mounts."""
