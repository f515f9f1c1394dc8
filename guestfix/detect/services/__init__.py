"""What is learned of how the guest is reached."""
