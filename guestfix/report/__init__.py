"""Reports: a Plan as text and as JSON."""
