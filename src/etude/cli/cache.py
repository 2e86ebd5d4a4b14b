"""`etude data cache`: the prepared pictures that are kept between runs."""

from __future__ import annotations

import dataclasses
import json
import sys
from datetime import datetime

from rich.table import Table

from etude.cli.printing import add_row, answer_console, make_table, print_line, print_table
from etude.data.cache import Entry, PreparedCache, read_bytes_size


def list_cache(as_json: bool) -> None:
    """Print the entries, the last used first, and what they take."""
    cache = PreparedCache()
    entries = cache.entries()
    used = sum(entry.n_bytes for entry in entries)
    if as_json:
        content = {"folder": str(cache.folder), "limit_bytes": cache.limit_bytes, "used_bytes": used}
        rows = [dataclasses.asdict(entry) for entry in entries]
        sys.stdout.write(json.dumps({**content, "entries": rows}, indent=1) + "\n")
        return
    console = answer_console()
    if entries:
        print_table(_table(entries), console)
    print_line(f"{cache.folder}: {size_words(used)} of {size_words(cache.limit_bytes)}.", console)


def clear_cache() -> None:
    """Remove every entry."""
    cache = PreparedCache()
    sys.stdout.write(f"{cache.folder}: {size_words(cache.clear())} freed.\n")


def limit_cache(size: str) -> None:
    """Set how large all entries together may be, and remove what is above it."""
    cache = PreparedCache()
    cache.set_limit(read_bytes_size(size))
    used = sum(entry.n_bytes for entry in cache.entries())
    sys.stdout.write(f"{cache.folder}: {size_words(used)} of {size_words(cache.limit_bytes)}.\n")


def size_words(n_bytes: int) -> str:
    """Say a size for people.

    >>> size_words(1_500_000_000), size_words(12)
    ('1.5 GB', '12 B')
    """
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if n_bytes >= size:
            return f"{n_bytes / size:.3g} {unit}"
    return f"{n_bytes} B"


def _table(entries: list[Entry]) -> Table:
    table = make_table("source", "pictures", "size", "on disk", "last used", right=("pictures", "on disk"))
    for entry in entries:
        masks = " + masks" if entry.has_masks else ""
        used = datetime.fromtimestamp(entry.used_at).strftime("%Y-%m-%d %H:%M")
        size = f"{entry.height_px} × {entry.width_px}{masks}"
        add_row(table, entry.source, f"{entry.pictures:,}", size, size_words(entry.n_bytes), used)
    return table
