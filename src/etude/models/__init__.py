"""Floor 2: one file per family of networks, with its card."""
