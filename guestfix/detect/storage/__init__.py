"""What is learned of disks, volumes and mounts."""
