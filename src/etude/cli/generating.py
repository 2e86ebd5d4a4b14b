"""`etude generate`: pictures out of the bundle of a generator."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from etude.core.counting import how_many


def generate_pictures(
    bundle: Path, to: Path, count: int, seed: int, label: str | None, first: int, as_json: bool, quiet: bool = False
) -> None:
    """Write the pictures, and say where they are."""
    from etude.runtime.generator import load_generator
    from etude.runtime.making import write_pictures

    generator = load_generator(bundle)
    files = write_pictures(generator, generator.wishes(count, seed=seed, label=label, first=first), to)
    if as_json:
        told = {
            "model": generator.name,
            "version": generator.fingerprint[:16],
            "seed": seed,
            "files": list(map(str, files)),
        }
        sys.stdout.write(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
        return
    if quiet:
        return
    sys.stdout.write(
        f"{how_many(len(files), 'picture')} of {generator.name} from seed {seed} "
        f"{'is' if len(files) == 1 else 'are'} in {to}\n"
    )
