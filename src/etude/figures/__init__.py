"""Floor 2: record to figure; the only host of matplotlib."""
