"""guestfix as a stage of a pipeline: one guest from its report to what is handed over, closed however that ends."""
