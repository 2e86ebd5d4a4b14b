"""Floor 7: the study file, the plan, running it, resuming, comparing, verdicts."""
