"""Actions on what runs at boot: services of systemd, SysV, upstart and OpenRC."""
