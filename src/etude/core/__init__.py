"""Floor 0: records, protocols, errors, registry, seeds, words. Imports nothing of ours."""
