"""Floor 2: pure functions: scores and statistics. No torch."""
