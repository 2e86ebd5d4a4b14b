"""Floor 6: what is wrong with the data and with the split."""

from etude.check.checking import CheckLimits, check_key, check_source
from etude.check.records import CheckRecord, Finding, FoldLeaks

__all__ = ["CheckLimits", "CheckRecord", "Finding", "FoldLeaks", "check_key", "check_source"]
