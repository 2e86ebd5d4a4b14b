"""Floor 8: what is handed to people, written from the records."""
