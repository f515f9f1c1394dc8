"""File formats for disks, volumes and mounts."""
