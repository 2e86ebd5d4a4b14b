"""Floor 9: commands; parses, calls, prints. No logic."""
