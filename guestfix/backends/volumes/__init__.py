"""From a disk's bytes to volumes: partition tables, md RAID, LVM, and what lies on each."""
