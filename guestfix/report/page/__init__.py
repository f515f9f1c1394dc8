"""A report as one HTML file that needs nothing else, and trusts nothing that a guest says."""
