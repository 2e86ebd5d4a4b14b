"""`etude export`, `etude predict`: a bundle out of a study, answers out of a bundle."""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.table import Table

from etude.cli.printing import add_row, answer_console, make_table, print_line, print_table
from etude.core.bundle_record import BundleRecord
from etude.core.counting import how_many
from etude.core.errors import DataError, MistakeError, sentence

_ADDRESS: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+")
"""How the address of a page begins, once it was taken for a path."""

if TYPE_CHECKING:
    from etude.export.request import Wishes
    from etude.runtime.answers import Answer
    from etude.runtime.predictor import Predictor


def export_study(
    target: str, results: Path, run: str, name: str, data: str, wishes: Wishes, as_json: bool, quiet: bool
) -> None:
    """Export a run and print what the bundle is and can do."""
    from etude.export.exporting import export_bundle
    from etude.report.class_names import call_classes
    from etude.study.deploying import export_request
    from etude.study.folder import find_study

    console = Console(stderr=True, quiet=quiet, width=None if sys.stderr.isatty() else 200)
    request = export_request(target, results, run=run, name=name, data=data)
    request = replace(request, called=call_classes(find_study(target, results).load_study()))
    record = export_bundle(request, wishes, lambda text: console.print(text, highlight=False, markup=False))
    if as_json:
        sys.stdout.write(record.text(indent=1) + "\n")
        return
    _print_record(record, wishes.to)


def _print_record(record: BundleRecord, path: Path) -> None:
    console = answer_console()
    gate, lost = record.gate, record.quantisation
    # The bundle has the graph with 8 bits; PyTorch was compared with the one that it was made from.
    exact = "with 32 bits: " if lost is not None else ""
    lines = [
        f"{path}: {record.name}, {how_many(len(record.classes), 'class', 'classes')}, candidate "
        f"{record.origin.candidate}, "
        f"run {record.origin.run}, {record.kind}",
        *([record.origin.chosen] if record.origin.chosen else []),
        f"{exact}agreement with PyTorch: {gate.agreement:.3%} of {_compared(record)}",
    ]
    if gate.score_moved is not None:
        lines.append(f"{exact}mIoU moved by {gate.score_moved:+.4f}")
    if (logits := record.logits) is not None:
        far = (
            ""
            if logits.moved_int8 is None
            else f"; with 8 bits they move by {logits.moved_int8.typical:.2g}, typically"
        )
        lines.append(
            f"logits {logits.shape} beside the {record.output}: at most {logits.moved.largest:.2g} from PyTorch's, the "
            f"largest of which is {logits.size:.3g}{far}"
        )
    if lost is not None and lost.agreement is not None:
        lines.append(f"8 bits: {lost.agreement:.3%} of the decisions are those with 32")
    lines.extend(
        f"8 bits: {entry.metric} {entry.score_fp32:.4f} to {entry.score_int8:.4f}, a loss of {entry.loss:.2f} points "
        f"[{entry.interval.low:.2f}, {entry.interval.high:.2f}]"
        for entry in (lost.losses if lost is not None else ())
    )
    if (sure := record.certainty) is not None:
        lines.append(
            f"unsure below {sure.unsure_below:.3f}: {sure.sure_share:.1%} of the validation answers are sure"
            + (f", {sure.sure_accuracy:.1%} of them right" if sure.sure_accuracy is not None else "")
        )
    if (known := record.familiarity) is not None:
        lines.append(
            f"unlike the training pictures below a familiarity of {known.unfamiliar_below:.3f}, which "
            f"{1 - known.familiar_share:.1%} of the validation pictures do not reach; their answers are unsure too"
        )
    for line in lines:
        print_line(line, console)
    if record.speeds:
        print_table(_speeds(record), console)
    if any(speed.name == "pytorch" and speed.memory_mb is not None for speed in record.speeds):
        print_line(
            "memory: of a process that answers one picture at a time; pytorch's has PyTorch itself in it", console
        )


def _compared(record: BundleRecord) -> str:
    if record.task == "generation":
        return f"the levels of {how_many(record.gate.pictures, 'generated picture')}, but for one of 255"
    return f"the decisions on {how_many(record.gate.pictures, 'validation picture')}"


def _speeds(record: BundleRecord) -> Table:
    numbers = ("p50 ms", "p95 ms", "p99 ms", "pictures/s", "MB", "memory MiB")
    table = make_table("variant", *numbers, right=numbers)
    for speed in record.speeds:
        times = [f"{value:.2f}" for value in (speed.p50_ms, speed.p95_ms, speed.p99_ms)]
        memory = "" if speed.memory_mb is None else f"{speed.memory_mb:.0f}"
        add_row(table, speed.name, *times, f"{speed.images_per_s:.0f}", f"{speed.size_mb:.2f}", memory)
    return table


def predict_pictures(
    bundle: Path, pictures: list[Path], top: int, to: Path | None, self_test: bool, as_json: bool
) -> None:
    """Answer about pictures; broken ones are told and passed over."""
    from etude.pictures.reading import printable
    from etude.runtime.predictor import load

    model = load(bundle)
    if not pictures and not self_test:
        raise MistakeError(sentence("predict", "PICTURE", "given, or --self-test", "none"))
    if self_test or model.record.kind == "int8":  # 8 bits are not computed alike by all processors
        model.self_test()
    if self_test and not as_json:
        sys.stdout.write(f"{model.name}: the self-test passed\n")
    pictures = _listed(pictures)
    failures = 0
    rows: list[dict[str, Any]] = []
    for path in pictures:
        try:
            # A folder may be called `photos:`.
            if (address := _ADDRESS.match(str(path))) and not os.path.exists(path):  # noqa: PTH110 - raises nothing
                given = f"{address[1]}://{str(path)[address.end() :]}"
                raise DataError(
                    sentence("predict", given, "a file on this machine", "an address", "Download it first.")
                )
            answer = model(path)
        except DataError as error:
            failures += 1
            rows.append({"picture": printable(str(path)), "error": str(error)})
            if not as_json:
                sys.stderr.write(f"{error}\n")
            continue
        rows.append({"picture": printable(str(path)), **_told(model, path, answer, top, to)})
        if not as_json:
            sys.stdout.write(_line(path, answer, top, rows[-1].get("files", [])) + "\n")
    if as_json:
        told = {"model": model.name, "predictions": rows} | ({"self_test": "passed"} if self_test else {})
        sys.stdout.write(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    if failures:
        raise DataError(f"predict: {failures:,} of {how_many(len(pictures), 'picture')} could not be read.")


def _listed(pictures: list[Path]) -> list[Path]:
    """Return the pictures, and in place of each folder those that lie in it, not deep.

    Raises:
        MistakeError: if a folder holds none.
    """
    from etude.pictures.reading import EXTENSIONS
    from etude.runtime.heic import HEIC

    listed: list[Path] = []
    for path in pictures:
        try:
            is_folder = path.is_dir()
        except OSError:  # a name that is too long, a disk that fails: reading it tells
            is_folder = False
        if not is_folder:
            listed.append(path)
            continue
        try:
            held = sorted(
                file for file in path.iterdir() if file.suffix.lower() in EXTENSIONS | HEIC and file.is_file()
            )
        except OSError as error:
            raise MistakeError(sentence("predict", str(path), "a folder that may be looked at", str(error))) from error
        if not (found := [file for file in held if not file.name.startswith(".")]):
            remedy = "For pictures in its folders: `etude index`."
            raise MistakeError(sentence("predict", str(path), "a picture, or a folder that holds some", "none", remedy))
        listed += found
    return listed


def _told(model: Predictor, path: Path, answer: Answer, top: int, to: Path | None) -> dict[str, Any]:
    """Return an answer as plain values, and write the masks where they are wanted."""
    from etude.pictures.reading import printable
    from etude.runtime.answers import MaskAnswer

    told = answer.as_json(top)
    if isinstance(answer, MaskAnswer) and to is not None:
        from etude.runtime.drawing import write_masks

        told["files"] = [printable(str(file)) for file in write_masks(answer, to, path.stem)]
    return told


def _line(path: Path, answer: Answer, top: int, files: list[str]) -> str:
    from etude.pictures.reading import printable
    from etude.runtime.answers import ClassAnswer

    name = printable(str(path))
    if not isinstance(answer, ClassAnswer):
        largest = sorted(answer.areas.items(), key=lambda area: -area[1])[: max(top, 1)]
        told = ", ".join(f"{label} {share:.1%}" for label, share in largest)
        return f"{name}: {told}" + (f" ({', '.join(files)})" if files else "")
    others = ", ".join(f"{label} {value:.1%}" for label, value in answer.top(top) if label != answer.label)
    doubt = ", unsure" if answer.is_unsure else ""
    doubt += ": unlike the training pictures" if answer.is_unfamiliar else ""
    return f"{name}: {answer.label} {answer.probability:.1%}{doubt}" + (f" ({others})" if others else "")
