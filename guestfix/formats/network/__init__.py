"""File formats for the network and its names."""
