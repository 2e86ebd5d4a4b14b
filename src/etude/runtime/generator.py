"""A generator out of a bundle: from a seed to pictures, with nothing but the bundle.

Shapes: B and N pictures, Z latent numbers, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from etude.core.bundle_record import BundleRecord
from etude.core.errors import BundleError, MistakeError, sentence
from etude.core.registry import unknown
from etude.pictures.generated import generated_png, grid
from etude.pictures.reading import Pixels
from etude.runtime.archive import Archive
from etude.runtime.bundled import Bundled, Files
from etude.runtime.latents import MOST_SEED, draw_latents
from etude.runtime.reference import AGREEMENT, Reference
from etude.runtime.session import LATENTS, PICTURES, LatentSession

BATCH: Final = 16
"""Pictures that are generated at a time, where many are wanted; fewer of a large size."""
REFERENCE_SEED: Final = 0
"""Seed of the pictures that a bundle is tested with."""
_MOST_LATENT: Final = 4096


@dataclass(frozen=True)
class Wish:
    """One picture that is asked for."""

    seed: int
    """From 0 to `MOST_SEED`."""
    number: int
    """Which of the seed's pictures, from 0."""
    class_id: int = 0
    """Class, for a conditional generator."""


class Generator(Bundled):
    """A model that makes pictures. Threads may share it.

    Args:
        archive: the record and the files of a bundle.
        threads: threads of one call; 0: all that the machine has.

    Raises:
        BundleError: if the bundle cannot be used.
    """

    def __init__(self, archive: Files, *, threads: int = 0) -> None:
        super().__init__(archive, threads)
        _check_record(self.record)
        self.latent = self.record.latent or 0
        self._session: LatentSession | None = None

    @property
    def is_conditional(self) -> bool:
        """Whether it can be asked for a class."""
        return self.record.conditional

    @property
    def session(self) -> LatentSession:
        """The graph, loaded when it is first asked, once: its bytes are let go of then."""
        with self._opening:
            if self._session is None:
                self._session = self._open()
                self._archive.forget(self.record.graph)
            return self._session

    def _open(self) -> LatentSession:
        """Load the graph and hold it to the record."""
        graph = self.record.graph
        session = LatentSession(
            self._archive[graph], self.latent, conditional=self.is_conditional, threads=self._threads, name=graph
        )
        session.check_shapes({PICTURES: (None, *self.size_px, 3)})
        return session

    def __call__(self, count: int = 1, *, seed: int = 0, label: str | None = None, first: int = 0) -> Pixels:
        """Generate pictures.

        The same seed gives the same pictures, and a picture depends on its number alone: the first ten of a thousand
        are the ten. Another processor may round a level the other way.

        Args:
            count: how many.
            seed: from 0 to 2**53 - 1.
            label: the class, for a conditional generator; none: each class in turn.
            first: number of the first picture.

        Returns:
            uint8 (count, H, W, 3), RGB.

        Raises:
            MistakeError: if there is no such class or seed.
        """
        return np.stack(list(self.stream(self.wishes(count, seed=seed, label=label, first=first))))

    def wishes(self, count: int, *, seed: int = 0, label: str | None = None, first: int = 0) -> list[Wish]:
        """Return what to ask for.

        Raises:
            MistakeError: if there is no such class or seed, or nothing is wanted.
        """
        for name, value, most in (("count", count, 2**31), ("seed", seed, MOST_SEED), ("first", first, 2**31)):
            least = 1 if name == "count" else 0
            if not least <= value <= most:
                raise MistakeError(sentence("generate", name, f"between {least} and {most}", value))
        numbers = range(first, first + count)
        if not self.is_conditional:
            if label is not None and (label,) != tuple(self.classes):
                remedy = f"It was trained on {', '.join(self.classes)}, and is not told which."
                raise MistakeError(sentence("generate", "class", "left out for this generator", label, remedy))
            return [Wish(seed, number) for number in numbers]
        if label is not None and label not in self.classes:
            raise MistakeError(unknown("generate: class", label[:100], self.classes))
        only = None if label is None else self.classes.index(label)
        return [Wish(seed, number, number % len(self.classes) if only is None else only) for number in numbers]

    def stream(self, wishes: Sequence[Wish]) -> Iterator[Pixels]:
        """Generate pictures (H, W, 3), a batch at a time."""
        batch = self.at_once(BATCH)
        for start in range(0, len(wishes), batch):
            read = [self.read(wish) for wish in wishes[start : start + batch]]
            yield from self.answer(np.stack([latents for latents, _ in read]), [class_id for _, class_id in read])

    def read(self, wish: Wish) -> tuple[npt.NDArray[np.float32], int]:
        """Return what the graph makes a picture of: the latent vector (Z,) and the class."""
        return draw_latents(wish.seed, [wish.number], self.latent)[0], wish.class_id

    def answer(self, latents_BZ: npt.NDArray[np.float32], classes: Sequence[int]) -> list[Pixels]:
        """Generate a batch.

        Args:
            latents_BZ: as `read` gives them.
            classes: what `read` gave beside each.

        Raises:
            BundleError: if the graph gives pictures of another size than the bundle says.
        """
        pictures = self.session.generate(latents_BZ, np.asarray(classes, np.int64))
        wanted = (len(latents_BZ), *self.size_px, 3)
        if pictures.shape != wanted:
            raise BundleError(sentence("bundle", self.record.graph, f"a graph to {wanted}", pictures.shape))
        return list(pictures)

    def png(self, pictures: Sequence[Pixels], wishes: Sequence[Wish]) -> bytes:
        """Return one picture, or several as a grid, as a PNG file that says what made it."""
        shown = pictures[0] if len(pictures) == 1 else grid(np.stack(pictures))
        return generated_png(shown, self.tell(wishes), self._fields(wishes))

    def tell(self, wishes: Sequence[Wish]) -> str:
        """Say in words what was made."""
        first = wishes[0]
        several = len(wishes) > 1
        numbers = f"pictures {first.number} to {wishes[-1].number}" if several else f"picture {first.number}"
        labels = dict.fromkeys(self.classes[wish.class_id] for wish in wishes) if self.is_conditional else ()
        of = f" of {', '.join(labels)}" if labels else ""
        return f"bundle {self.name}, graph SHA-256 {self.graph_sha256}, seed {first.seed}, {numbers}{of}"

    def _fields(self, wishes: Sequence[Wish]) -> dict[str, str]:
        """Return the same for programs."""
        told = {
            "Software": f"Étude {self.record.etude}".strip(),
            "etude:bundle": self.name,
            "etude:graph-sha256": self.graph_sha256,
            "etude:seed": str(wishes[0].seed),
            "etude:number": ",".join(str(wish.number) for wish in wishes),
        }
        if self.is_conditional:
            told["etude:class"] = ",".join(self.classes[wish.class_id] for wish in wishes)
        return told

    def self_test(self) -> None:
        """Generate the bundle's own pictures and compare with those that it gave when it was exported.

        Raises:
            BundleError: if the draws or the pictures differ.
        """
        reference = Reference.from_bytes(self._archive["reference.npz"])
        wishes = self.wishes(max(1, len(reference.pictures)), seed=REFERENCE_SEED)
        latents_BZ = draw_latents(REFERENCE_SEED, [wish.number for wish in wishes], self.latent)
        if latents_BZ.shape != reference.answers.shape or not np.allclose(latents_BZ, reference.answers, atol=1e-5):
            raise BundleError(f"{self.name}: self-test: this machine draws other numbers for the same seed.")
        pictures = np.stack(list(self.stream(wishes)))
        list(self.stream([Wish(REFERENCE_SEED, 0, len(self.classes) - 1)]))  # a graph of fewer classes fails here
        agreement = agreement_of(pictures, reference.pictures)
        if agreement < AGREEMENT:
            rule = f"at least {AGREEMENT:.1%} of its levels"
            raise BundleError(sentence(self.name, "self-test", rule, f"{agreement:.1%}", "Export it anew."))


def agreement_of(pictures: Pixels, others: Pixels) -> float:
    """Return the share of levels that differ by at most 1, from 0 to 1; 0 where the shapes differ."""
    if pictures.shape != others.shape:
        return 0.0
    return float((np.abs(pictures.astype(np.int16) - others.astype(np.int16)) <= 1).mean())


def load_generator(path: str | Path, *, threads: int = 0) -> Generator:
    """Open the bundle of a generator that `etude export` wrote. No PyTorch is needed.

    Args:
        path: the file or the folder.
        threads: threads of one call; 0: all that the machine has.

    Raises:
        BundleError: if it is no bundle, is damaged, or holds what a bundle may not hold.

    Example:
        ``load_generator("pandas.bundle")(16, seed=7)``
    """
    generator = Generator(Archive(Path(path)), threads=threads)
    _ = generator.session
    return generator


def _check_record(record: BundleRecord) -> None:
    """Check that the parts of a record fit each other."""
    if record.task != "generation":
        remedy = "Ask it with `etude predict`, or etude.load."
        raise BundleError(sentence("bundle", record.name, "one that generates pictures", record.task, remedy))
    if record.latent is None or not 1 <= record.latent <= _MOST_LATENT:
        raise BundleError(sentence("bundle", "latent", f"between 1 and {_MOST_LATENT}", record.latent))
    if (record.input, record.output) != (LATENTS, PICTURES) or not record.classes:
        raise BundleError(sentence("bundle", "output", f"{PICTURES} from {LATENTS}", record.output))
