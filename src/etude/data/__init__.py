"""Floor 2: sources, splits, augmentation, loader."""
