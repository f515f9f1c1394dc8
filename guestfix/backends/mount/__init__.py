"""The backend ``mount``: the host's own kernel mounts the guest, for root alone and only where that was chosen."""
