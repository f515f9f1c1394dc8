"""Making a Plan, and what a Plan is."""
