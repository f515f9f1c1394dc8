"""Actions for the network and its names."""
