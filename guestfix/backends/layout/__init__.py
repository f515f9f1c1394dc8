"""Which volumes make up a guest, and where each is mounted."""
