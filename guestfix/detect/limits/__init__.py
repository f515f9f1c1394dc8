"""What is learned of what guestfix or a target can't serve."""
