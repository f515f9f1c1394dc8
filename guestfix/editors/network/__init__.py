"""Editor operations for the network and its names."""
