"""What guestfix knows by name: one table each of findings and facts, and what is made of all tables."""
