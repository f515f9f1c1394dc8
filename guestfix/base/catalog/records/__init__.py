"""The records that facts have as values; in JSON each is an object of its fields."""
