"""What every throw-away machine that mounts a guest's disks has in common: its agent, and the talk with it."""
