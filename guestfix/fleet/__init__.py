"""Many guests: an inventory of them, one run over all on Dask, and what came of it in a database."""
