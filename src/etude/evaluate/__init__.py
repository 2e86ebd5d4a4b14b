"""Floor 4: predictions to scores, intervals, cost."""
