"""Loaded by a Dask worker of a test, which has an older guestfix then."""

import guestfix.fleet.run

guestfix.fleet.run.__version__ = "0.0.1"
