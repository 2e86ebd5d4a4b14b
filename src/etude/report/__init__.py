"""Floor 8: what was learned, told to people, in French and English.

A report computes no number: it reads records and writes them down. Every sentence that claims something is written
from the verdict that shows it, and changes or vanishes with it.
"""
