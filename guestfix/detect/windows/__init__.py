"""What is learned of Windows."""
