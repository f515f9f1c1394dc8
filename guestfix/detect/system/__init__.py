"""What is learned of what system it is."""
