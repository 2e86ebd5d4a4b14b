"""Seeds: every random draw has a name, and its seed is derived from that name.

A stream that is derived per epoch needs no saved state: a run that is resumed at an epoch
draws what the uninterrupted run would have drawn.
"""

from __future__ import annotations

import hashlib


def derive(seed: int, *words: object) -> int:
    """Return the seed of the stream named by `words`, in [0, 2**63).

    >>> derive(0, "augment", 3) == derive(0, "augment", 3)
    True
    >>> derive(0, "augment", 3) == derive(0, "order", 3)
    False
    """
    text = "\x1f".join([str(seed), *(str(word) for word in words)])
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
