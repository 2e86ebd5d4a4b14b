"""The photo indexer: a disk of pictures becomes a table that can be searched, looked through and corrected."""
