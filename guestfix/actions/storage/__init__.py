"""Planning steps for what is mounted."""
