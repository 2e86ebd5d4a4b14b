"""The predictor: from a picture in any form to an answer, with nothing but a bundle."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, overload

import numpy as np
import numpy.typing as npt
from PIL import Image

from etude.core.bundle_record import BundleRecord
from etude.core.counting import how_many
from etude.core.errors import BundleError, sentence
from etude.pictures.prepare import VOID, Box, Placement, place, prepare_opened, prepare_picture
from etude.pictures.reading import MAX_PIXELS, OpenPicture, Pixels, RawPicture, SizePx, decode, printable, read_file
from etude.runtime.answers import Answer, ClassAnswer, MaskAnswer
from etude.runtime.archive import Archive
from etude.runtime.bundled import Bundled, Files
from etude.runtime.heic import decode_heic, is_heic
from etude.runtime.inputs import Picture, as_list, as_raw
from etude.runtime.reference import Reference, compare_logits, compare_reference, thinned
from etude.runtime.session import FAMILIARITY, LOGITS, Session, Shape

BATCH = 16
"""Pictures that are asked about at a time, where many are given; fewer of a large size."""
_ROUNDING: Final = 1e-6
"""A threshold that nothing reaches lies next to 1, and a probability of 32 bits may too."""
_SHOWN: Final = 8


class Predictor(Bundled):
    """A model that answers about pictures. Threads may share it.

    Args:
        archive: the record and the files of a bundle.
        threads: threads of one call; 0: all that the machine has.
        max_pixels: refuse pictures with more pixels than this.
        reads_heic: whether HEIC pictures are read, where pillow-heif is installed; it is a decoder more that a forged
            file can reach.

    Raises:
        BundleError: if the bundle cannot be used.
    """

    def __init__(
        self, archive: Files, *, threads: int = 0, max_pixels: int = MAX_PIXELS, reads_heic: bool = True
    ) -> None:
        super().__init__(archive, threads)
        self.max_pixels, self.reads_heic = max_pixels, reads_heic
        self._session: Session | None = None
        _check_record(self.record)

    @property
    def session(self) -> Session:
        """The graph, loaded when it is first asked, once: its bytes are let go of then."""
        with self._opening:
            if self._session is None:
                self._session = self._open()
                self._archive.forget(self.record.graph)
            return self._session

    def _open(self) -> Session:
        """Load the graph and hold it to the record."""
        record = self.record
        session = Session(
            self._archive[record.graph], record.input, record.output, threads=self._threads, name=record.graph
        )  # fmt: skip
        for output, is_given, told in (
            (FAMILIARITY, session.tells_familiarity, record.familiarity),
            (LOGITS, session.tells_logits, record.logits),
        ):
            if is_given != (told is not None):
                rule = f"one whose graph and record agree on the output `{output}`"
                raise BundleError(sentence("bundle", record.name, rule, is_given))
        session.check_shapes(self._shapes())
        return session

    def _shapes(self) -> dict[str, Shape]:
        """Return the shapes of what goes into the graph and comes out of it, as the record means them."""
        size_px, count = self.size_px, len(self.classes)
        is_mask = self.task == "segmentation"
        return {
            self.record.input: (None, *size_px, 3),
            self.record.output: (None, *size_px) if is_mask else (None, count),
            FAMILIARITY: (None,),
            LOGITS: (None, count, *size_px) if is_mask else (None, count),
        }

    @overload
    def __call__(self, pictures: list[Picture] | tuple[Picture, ...]) -> list[Answer]: ...
    @overload
    def __call__(self, pictures: Picture) -> Any: ...  # noqa: ANN401 - one answer, or a list for an array of four axes
    def __call__(self, pictures: Picture) -> Any:
        """Answer about one picture, or about each of a list.

        Args:
            pictures: an array (H, W, 3), (H, W) or (H, W, 4), uint8 or floats from 0 to 1; a Pillow image; a path;
                the bytes of a picture; a list of these, or an array (B, H, W, 3).

        Returns:
            A `ClassAnswer` or a `MaskAnswer`; for a list, a list of them in the same order.

        Raises:
            DataError: if one of them is no picture, or is too large.
        """
        given, is_list = as_list(pictures)
        answers = list(self.stream(given))
        return answers if is_list else answers[0]

    def stream(self, pictures: Iterable[Picture], batch: int | None = None) -> Iterator[Answer]:
        """Answer about many pictures, a batch at a time, holding no more than that in memory.

        Args:
            pictures: what `__call__` takes, each of it.
            batch: pictures of a batch; by default 16, and fewer of a large size.

        Raises:
            DataError: if one of them is no picture, or is too large.
        """
        batch = self.at_once(BATCH) if batch is None else batch
        waiting: list[Picture] = []
        for picture in pictures:
            waiting.append(picture)
            if len(waiting) == batch:
                yield from self._answer_batch(waiting)
                waiting = []
        if waiting:
            yield from self._answer_batch(waiting)

    def _answer_batch(self, pictures: Sequence[Picture]) -> list[Answer]:
        read = [self.read(picture) for picture in pictures]
        return self.answer(np.stack([pixels for pixels, _ in read]), [seen for _, seen in read])

    def logits(self, pictures: Picture) -> npt.NDArray[np.float32]:
        """Return what the answers are taken from, at the size of the graph; no answer carries them.

        They are raw: before the softmax, and not divided by the temperature of the record.

        Args:
            pictures: what `__call__` takes.

        Returns:
            (K,), or for masks (K, H, W), float32, K in the order of `classes`; for a list with the batch first. Those
            of masks are large (K times 4 bytes a pixel): ask about many pictures a few at a time.

        Raises:
            BundleError: if the bundle was made without them.
            DataError: if one of them is no picture, or is too large.
        """
        if self.record.logits is None:
            remedy = "Export it anew with `etude export --logits`."
            raise BundleError(sentence("bundle", self.name, "one that gives logits", "none", remedy))
        given, is_list = as_list(pictures)
        read, batch = [self.read(picture)[0] for picture in given], self.at_once(BATCH)
        logits = [
            self.session.run_with_logits(np.stack(read[begin : begin + batch]))[1]
            for begin in range(0, len(read), batch)
        ]
        if not is_list:
            one: npt.NDArray[np.float32] = logits[0][0]
            return one
        return np.concatenate(logits) if logits else np.zeros((0, *self.record.logits.shape), np.float32)

    def read(self, picture: Picture, *, name: str = "", box: Box | None = None) -> tuple[Pixels, Seen]:
        """Read a picture and bring it to the model's size, as training did.

        Args:
            picture: what `__call__` takes, one of it.
            name: what errors call it.
            box: the annotated box, for a model that was trained on boxes and a picture that has one.

        Returns:
            The prepared picture, uint8 (H, W, 3), and what a mask needs to find back to the picture's own size.

        Raises:
            DataError: if it is no picture, or is too large.
        """
        raw, name, most = as_raw(picture, name), name or _name_of(picture), self.max_pixels
        content = read_file(raw, name) if isinstance(raw, Path) else raw
        if self.reads_heic and isinstance(content, bytes) and is_heic(content):
            content = decode_heic(content, name or "the picture", most)
        if self.task == "classification":
            return prepare_picture(content, self.prepare, box=box, name=name, max_pixels=most), Seen()
        if isinstance(content, np.ndarray):
            pixels = decode(content, name=name, max_pixels=most)
            size_px = (pixels.shape[0], pixels.shape[1])
            prepared = prepare_picture(pixels, self.prepare, box=box, max_pixels=most)
            return prepared, Seen(size_px, place(size_px, self.prepare, box=box), pixels, most)
        opened = OpenPicture(content, name=name, max_pixels=most)
        prepared = prepare_opened(opened, self.prepare, box)
        return prepared, Seen(opened.size_px, place(opened.size_px, self.prepare, box=box), content, most)

    def answer(self, pictures_BHWC: Pixels, seen: Sequence[Seen]) -> list[Answer]:
        """Answer a batch of prepared pictures.

        Args:
            pictures_BHWC: uint8 (B, H, W, 3) as `read` gives them.
            seen: what `read` gave beside each.
        """
        outputs, familiarity_B = self.session.run_both(np.ascontiguousarray(pictures_BHWC))
        self._check_shape(outputs, len(seen))
        known = [None] * len(seen) if familiarity_B is None else familiarity_B.tolist()
        return [self._wrap(output, *entry) for output, *entry in zip(outputs, seen, known, strict=True)]

    def _wrap(self, output: np.ndarray[Any, Any], seen: Seen, familiarity: float | None) -> Answer:
        record = self.record
        if record.task == "classification":
            unsure_below = record.certainty.unsure_below if record.certainty else 0.0
            unfamiliar_below = record.familiarity.unfamiliar_below if record.familiarity else -1.0
            return ClassAnswer(record.classes, output, record.threshold, unsure_below, familiarity, unfamiliar_below)
        return MaskAnswer(record.classes, record.palette, seen.place_back(output), seen.pixels)

    def self_test(self) -> None:
        """Answer the bundle's own pictures and compare with what it answered when it was exported.

        Raises:
            BundleError: if an answer differs.
        """
        reference = Reference.from_bytes(self._archive["reference.npz"], self.size_px)
        told = self.refer(reference.pictures)  # of the record's size: what a user allows of pictures is not of them
        compare_reference(self.name, reference, told.answers)
        if told.logits is not None:
            compare_logits(self.name, reference, told.logits)

    def refer(self, pictures_BHWC: Pixels) -> Reference:
        """Return prepared pictures with what the graph answers, and some of its logits where it gives them.

        Args:
            pictures_BHWC: uint8 (B, H, W, 3), of which no more are asked about at a time than of others.

        Raises:
            BundleError: if the answers are not of the shape that the record means.
        """
        tells_logits, batch = self.record.logits is not None, self.at_once(BATCH)
        answers: list[npt.NDArray[Any]] = []
        logits: list[npt.NDArray[np.float32]] = []
        for begin in range(0, len(pictures_BHWC), batch):
            some = np.ascontiguousarray(pictures_BHWC[begin : begin + batch])
            if tells_logits:
                answered, raw = self.session.run_with_logits(some)
                self._check_sides(raw, len(some), LOGITS)
                logits.append(thinned(raw))
            else:
                answered = self.session.run(some)
            self._check_shape(answered, len(some))
            answers.append(answered)
        return Reference(pictures_BHWC, np.concatenate(answers), np.concatenate(logits) if tells_logits else None)

    def _check_sides(self, given: np.ndarray[Any, Any], count: int, output: str) -> None:
        """Refuse what has another shape than the record means: of a graph that leaves its axes open."""
        wanted = (count, *self._shapes()[output][1:])
        if given.shape != wanted:
            raise BundleError(sentence("bundle", self.record.graph, f"a graph to {wanted}", given.shape))

    def _check_shape(self, answers: np.ndarray[Any, Any], count: int) -> None:
        """Refuse answers of another shape than the record means, and ids of classes that it does not name."""
        record = self.record
        self._check_sides(answers, count, record.output)
        if record.task == "segmentation" and (largest := answers.max(initial=0)) >= len(record.classes):
            raise BundleError(
                sentence("bundle", record.graph, f"a graph to ids below {len(record.classes)}", int(largest))
            )


class Seen:
    """What of a picture is kept beside its prepared pixels: nothing for a class, its size and place for a mask."""

    def __init__(
        self,
        size_px: SizePx | None = None,
        placement: Placement | None = None,
        raw: RawPicture | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self.size_px, self.placement, self._raw, self._max_pixels = size_px, placement, raw, max_pixels

    def place_back(self, ids_HW: Pixels) -> Pixels:
        """Return a mask of the model's size at the picture's own, each pixel with the nearest id.

        What the model did not see is 255.
        """
        if self.size_px is None or self.placement is None:
            return ids_HW
        left, top, right, bottom = self.placement.target
        x0, y0, x1, y1 = (round(side) for side in self.placement.source)
        inner = Image.fromarray(np.ascontiguousarray(ids_HW[top:bottom, left:right]))
        whole = np.asarray(inner.resize((max(1, x1 - x0), max(1, y1 - y0)), Image.Resampling.NEAREST))
        if whole.shape == self.size_px:
            return whole
        mask = np.full(self.size_px, VOID, np.uint8)
        mask[y0:y1, x0:x1] = whole[: mask.shape[0] - y0, : mask.shape[1] - x0]
        return mask

    def pixels(self) -> Pixels | None:
        """Return the picture at its own size, decoded anew; none for a class."""
        return None if self._raw is None else decode(self._raw, max_pixels=self._max_pixels)


def _name_of(picture: Picture) -> str:
    """Return what errors call a picture that nobody named: its path, where it is one."""
    return printable(str(picture)) if isinstance(picture, str | os.PathLike) else ""


def load(path: str | Path, *, threads: int = 0, max_pixels: int = MAX_PIXELS, reads_heic: bool = True) -> Predictor:
    """Open a bundle that `etude export` wrote. No PyTorch is needed.

    Args:
        path: the file or the folder.
        threads: threads of one call; 0: all that the machine has.
        max_pixels: refuse pictures with more pixels than this.
        reads_heic: whether HEIC pictures are read where pillow-heif is installed: one decoder more that a forged file
            can reach, for a service that strangers send pictures to.

    Raises:
        BundleError: if it is no bundle, is damaged, or holds what a bundle may not hold.

    Example:
        ``load("breeds.bundle")(array).label``
    """
    predictor = Predictor(Archive(Path(path)), threads=threads, max_pixels=max_pixels, reads_heic=reads_heic)
    _ = predictor.session
    return predictor


def _check_record(record: BundleRecord) -> None:
    """Check that the parts of a record fit each other."""
    if record.task == "generation":
        remedy = "Ask it with `etude generate`, or etude.load_generator."
        raise BundleError(sentence("bundle", record.name, "one that answers about pictures", record.task, remedy))
    if record.task == "segmentation" and len(record.palette) != len(record.classes):
        raise BundleError(
            sentence("bundle", "palette", f"{how_many(len(record.classes), 'colour')}", len(record.palette))
        )
    if any(not 0 <= level <= 255 for colour in record.palette for level in colour):
        raise BundleError(sentence("bundle", "palette", "levels from 0 to 255", record.palette[:_SHOWN]))
    if record.task == "segmentation" and len(record.classes) > VOID:
        raise BundleError(sentence("bundle", "classes", f"at most {VOID}, for masks", len(record.classes)))
    if record.threshold is not None and len(record.classes) != 2:
        raise BundleError(sentence("bundle", "threshold", "left out but for two classes", record.threshold))
    unsure_below = None if record.certainty is None else record.certainty.unsure_below
    for name, share in (("threshold", record.threshold), ("unsure_below", unsure_below)):
        if share is not None and not -_ROUNDING <= share <= 1 + _ROUNDING:
            raise BundleError(sentence("bundle", name, "between 0 and 1", share))
    wanted = {"classification": "probabilities", "segmentation": "ids"}[record.task]
    if record.output != wanted or not record.classes:
        raise BundleError(sentence("bundle", "output", f"{wanted}, for a {record.task}", record.output))
