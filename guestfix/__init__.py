"""guestfix repairs a guest operating system offline, so that it boots and is reachable elsewhere."""

__version__ = "0.1.0"
