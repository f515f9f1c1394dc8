"""What is learned of the network and its names."""
