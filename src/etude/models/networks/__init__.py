"""The networks themselves. Each module imports torch at its top, and is imported only by what builds or counts."""
