"""The command line: parses, calls, prints."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from etude.cli.examples import add_examples
from etude.cli.options import Debug, Device, Json, Name, Quiet, Results, Sets, Target
from etude.cli.stock import data_app, models_app, runs_app
from etude.core.errors import EXIT_FAULT, EXIT_INTERRUPTED, EtudeError, MistakeError

app = typer.Typer(
    name="etude",
    help="Studies of image models: from pictures and a question to a model that can be defended and deployed.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,  # rich's help takes half a second to import
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(runs_app, name="runs")
app.add_typer(models_app, name="models")
app.add_typer(data_app, name="data")


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        from etude import __version__

        typer.echo(f"etude {__version__}")
        raise typer.Exit


@app.command()
def run(
    target: Target,
    set_: Sets = None,
    device: Device = "auto",
    results: Results = Path("results"),
    name: Name = "",
    yes: Annotated[
        bool, typer.Option("--yes", help="Replace the leaderboard of another study that lies there; runs are kept.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes that share the trials of a search.")] = 1,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Run a study: train what is missing, compare, and write the note.

    What was trained before is not trained again; what was interrupted goes on from its last saved epoch. All that it
    gives lies in results/NAME: leaderboard.csv, verdicts.json, the note in report/, the trained networks in runs/.
    """
    from etude.cli.running import run_target

    run_target(target, set_ or [], device, results, json, quiet, workers, name=name, take_over=yes)


@app.command()
def plan(
    target: Target,
    set_: Sets = None,
    measure: Annotated[bool, typer.Option(help="Time a few steps of each candidate, once.")] = True,
    results: Results = Path("results"),
    name: Name = "",
    device: Device = "auto",
    json: Json = False,
    debug: Debug = False,
) -> None:
    """List the runs of a study, and how long they will take here.

    They stand in their order, with what so many runs can show.

    Nothing is trained to its end: a few steps of each candidate are timed.
    """
    from etude.cli.running import show_plan

    show_plan(target, set_ or [], device, results, json, measure, name)


@app.command()
def compare(
    studies: Annotated[list[str], typer.Argument(help="Names, folders or files of two or more studies that were run.")],
    metric: Annotated[str | None, typer.Option(help="Metric; that of the first study by default.")] = None,
    baseline: Annotated[
        str | None, typer.Option(metavar="STUDY/CANDIDATE", help="What the others are compared with.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the merged leaderboard to this file.")] = None,
    results: Results = Path("results"),
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Set studies side by side, in one leaderboard.

    There are verdicts where the split is the same.
    """
    from etude.cli.comparing import show_comparison

    show_comparison(studies, results, metric, baseline, csv, json)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the study; NAME.yaml is written.")],
    data: Annotated[str, typer.Option(help="The pictures: a folder, a Parquet or CSV file, or a source.")] = "",
    task: Annotated[str, typer.Option(help="classification, segmentation or generation.")] = "classification",
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file where it exists.")] = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    """Write a commented study file to start from."""
    from etude.cli.starting import write_starter

    write_starter(name, data, task, force)


@app.command()
def report(
    study: Annotated[str, typer.Argument(help="Name, folder or file of a study that was run.")],
    results: Results = Path("results"),
    language: Annotated[list[str] | None, typer.Option(help="fr or en; both by default.")] = None,
    format_: Annotated[
        list[str] | None,
        typer.Option(
            "--format", help="note (HTML and PDF), slides, notebook, markdown, project or all; note by default."
        ),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Copy what is written there, with leaderboard.csv and verdicts.json."),
    ] = None,
    debug: Debug = False,
) -> None:
    """Write the report of a study again, from its records.

    It is a note, slides, a notebook, a page of Markdown, or a folder that runs alone.
    """
    from etude.cli.running import write_reports
    from etude.study.folder import find_study

    folder = find_study(study, results).root
    for path in write_reports(folder, tuple(language or ("en", "fr")), tuple(format_ or ("note",)), to):
        typer.echo(path)


@app.command()
def explain(
    study: Annotated[str, typer.Argument(help="Name, folder or file of a study that was run.")],
    run: Annotated[
        str | None, typer.Option(metavar="ID", help="A run's folder under runs/, or the beginning of its name.")
    ] = None,
    part: Annotated[
        list[str] | None, typer.Option(help="layers, sight, why, map or errors; can be repeated. All by default.")
    ] = None,
    picture: Annotated[
        str | None, typer.Option(metavar="PATH|ID", help="The picture whose feature maps are shown.")
    ] = None,
    layer: Annotated[
        list[str] | None,
        typer.Option(help="A layer whose maps and most exciting pictures are shown; can be repeated."),
    ] = None,
    most_layers: Annotated[
        int, typer.Option(min=0, help="Layers whose maps are shown where none is named; 0: all.")
    ] = 24,
    pictures: Annotated[int, typer.Option(min=40, help="About how many pictures are laid on the maps.")] = 2000,
    place: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="New pictures to place on the maps; maps that are drawn stay as they are."),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option(
            min=0,
            help="About how long the falls of layers may take; 0: none is measured, and those that were are kept.",
        ),
    ] = 60.0,
    all_candidates: Annotated[
        bool,
        typer.Option("--all-candidates", help="Explain that run, and the first of every other candidate."),
    ] = False,
    device: Device = "auto",
    results: Results = Path("results"),
    language: Annotated[list[str] | None, typer.Option(help="fr or en; both by default.")] = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Explain a finished run, layer by layer and answer by answer.

    By default it is the run that `etude export` takes: the best one of the candidate that validation chooses.
    """
    from etude.cli.explaining import explain as explain_study
    from etude.study.opened import Wishes

    wishes = Wishes(seconds, picture, tuple(layer or ()), most_layers, pictures, place)
    languages = tuple(language or ("en", "fr"))
    explain_study(
        study, run, tuple(part or ()), device, results, languages, wishes, quiet, all_candidates=all_candidates
    )


@app.command()
def export(
    study: Annotated[str, typer.Argument(help="Name, folder or file of a study that was run.")],
    to: Annotated[Path, typer.Option(help="The bundle to write, such as breeds.bundle.")],
    run_: Annotated[
        str, typer.Option("--run", metavar="ID", help="The run; by default one that validation chooses.")
    ] = "",
    name: Annotated[str, typer.Option(help="Name of the model; the study's by default.")] = "",
    int8: Annotated[bool, typer.Option("--int8", help="Compute with 8 bits, calibrated on training pictures.")] = False,
    logits: Annotated[
        bool,
        typer.Option("--logits", help="Let the graph give the logits too, float32, to fuse or to threshold elsewhere."),
    ] = False,
    max_loss: Annotated[
        float,
        typer.Option(
            help="The most that 8 bits may lose on validation, in points: of right answers or mIoU, and of the study's "
            "own metric."
        ),
    ] = 1.0,
    sure: Annotated[float, typer.Option(help="Share of right answers that sure answers must have.")] = 0.95,
    familiar: Annotated[
        float, typer.Option(help="Share of the validation pictures that count as like those of the training.")
    ] = 0.95,
    measure: Annotated[bool, typer.Option(help="Measure latency, throughput and memory.")] = True,
    folder: Annotated[bool, typer.Option("--folder", help="Write a folder in place of one file.")] = False,
    data: Annotated[str, typer.Option(help="The study's pictures, where they lie elsewhere now.")] = "",
    results: Results = Path("results"),
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Make a bundle of the best run: one file that answers without PyTorch.

    Nothing is written where the bundle disagrees with the network on validation, or 8 bits lose too much.
    """
    from etude.cli.deploying import export_study
    from etude.export.request import Wishes

    wishes = Wishes(
        to=to, int8=int8, logits=logits, max_loss=max_loss, sure=sure, familiar=familiar, measure=measure,
        as_folder=folder,
    )  # fmt: skip
    export_study(study, results, run_, name, data, wishes, json, quiet)


@app.command()
def predict(
    bundle: Annotated[Path, typer.Argument(help="A bundle that `etude export` wrote.")],
    pictures: Annotated[list[Path] | None, typer.Argument(help="Pictures, or folders that hold some.")] = None,
    top: Annotated[int, typer.Option(help="Classes to tell of each picture.")] = 3,
    to: Annotated[Path | None, typer.Option(help="Folder for masks and overlays.")] = None,
    self_test: Annotated[bool, typer.Option("--self-test", help="Ask about the bundle's own pictures.")] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Answer about pictures with a bundle. No PyTorch is needed."""
    from etude.cli.deploying import predict_pictures

    predict_pictures(bundle, pictures or [], top, to, self_test, json)


@app.command()
def generate(
    bundle: Annotated[Path, typer.Argument(help="A bundle of a generator that `etude export` wrote.")],
    to: Annotated[Path, typer.Option(help="Folder for the pictures; with classes, a folder in it for each.")],
    count: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many pictures.")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same pictures.")] = 0,
    label: Annotated[str, typer.Option("--class", help="The class; without it each in turn.")] = "",
    first: Annotated[int, typer.Option(min=0, help="Number of the first picture.")] = 0,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Make pictures with the bundle of a generator. No PyTorch is needed.

    Each file says in itself that it is generated, by which bundle and from which seed.
    """
    from etude.cli.generating import generate_pictures

    generate_pictures(bundle, to, count, seed, label or None, first, json, quiet)


@app.command()
def serve(
    bundles: Annotated[list[Path] | None, typer.Argument(help="Bundles that `etude export` wrote.")] = None,
    host: Annotated[str, typer.Option(help="Address; any but this machine's own needs --keys.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    keys: Annotated[Path | None, typer.Option(help="File of hashed API keys.")] = None,
    new_key: Annotated[str, typer.Option("--new-key", metavar="NAME", help="Make a key, print it, and stop.")] = "",
    threads: Annotated[int, typer.Option(min=0, help="Threads that decode and answer; 0: all cores.")] = 0,
    queue: Annotated[int, typer.Option(min=1, help="Pictures that may wait; beyond it is 503.")] = 64,
    max_mb: Annotated[float, typer.Option(help="The most a request may hold, in MB.")] = 20.0,
    max_megapixels: Annotated[float, typer.Option(help="The most a picture may hold, before it is decoded.")] = 40.0,
    connections: Annotated[int, typer.Option(help="Connections that may be open.")] = 512,
    rate: Annotated[
        float | None,
        typer.Option(min=0, help="Requests a minute for each key; 0: no limit. Open addresses: 600 by default."),
    ] = None,
    burst: Annotated[int, typer.Option(help="Requests that may come at once before --rate counts.")] = 20,
    timeout: Annotated[float, typer.Option(help="Seconds that a picture may wait for its answer.")] = 30.0,
    body_timeout: Annotated[float, typer.Option(help="Seconds that a request may take to arrive.")] = 20.0,
    origin: Annotated[list[str] | None, typer.Option(help="Origin whose pages may call the API.")] = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Serve bundles: an API (/docs), a page (/), counts (/metrics)."""
    from etude.cli.serving import make_config, make_key, serve_bundles

    if new_key:
        make_key(new_key, keys)
        return
    config = make_config(
        host=host, port=port, threads=threads, queue=queue, max_mb=max_mb, max_megapixels=max_megapixels,
        connections=connections, rate=rate, burst=burst, timeout_s=timeout, body_timeout_s=body_timeout, keys=keys,
        origins=tuple(origin or ()),
    )  # fmt: skip
    serve_bundles(bundles or [], config, quiet)


@app.command()
def index(
    bundle: Annotated[Path, typer.Argument(help="A bundle that `etude export` wrote.")],
    folder: Annotated[Path, typer.Argument(help="Folder of pictures, at any depth; they are only read.")],
    to: Annotated[Path, typer.Option(help="library.sqlite; .csv and .parquet write a table beside it.")],
    threads: Annotated[int, typer.Option(min=0, help="Threads; 0: all cores.")] = 0,
    max_megapixels: Annotated[float, typer.Option(help="Pictures with more are listed as broken.")] = 100.0,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take this folder in place of the one that the library was made of.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Answer about every picture of a folder.

    Run again, it looks at new and changed ones only, and at what may be readable now.
    """
    from etude.cli.library import index_pictures

    index_pictures(bundle, folder, to, threads, max_megapixels, replace, json, quiet)


@app.command()
def search(
    library: Annotated[Path, typer.Argument(help="A library that `etude index` wrote.")],
    label: Annotated[str, typer.Option("--class", help="Only this class.")] = "",
    least: Annotated[float, typer.Option("--min", help="Smallest probability, from 0 to 1.")] = 0.0,
    unsure: Annotated[bool | None, typer.Option("--unsure/--sure", help="Only unsure, or only sure answers.")] = None,
    unfamiliar: Annotated[
        bool | None, typer.Option("--unfamiliar/--familiar", help="Unlike the pictures the model learned from, or not.")
    ] = None,
    corrected: Annotated[
        bool | None, typer.Option("--corrected/--untouched", help="Corrected by hand, or not.")
    ] = None,
    none: Annotated[
        bool, typer.Option("--none", help="Only those that show none of the classes, by a correction.")
    ] = False,
    limit: Annotated[int, typer.Option(help="The most that are listed; 0: all.")] = 0,
    copy: Annotated[Path | None, typer.Option(help="Copy them into this folder.")] = None,
    link: Annotated[Path | None, typer.Option(help="Link to them in this folder.")] = None,
    train: Annotated[Path | None, typer.Option(help="Copy them into a folder for each class, to train on.")] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Find pictures in a library by class and probability.

    They are listed, copied or linked.
    """
    from etude.cli.library import search_library

    chosen = {"unsure": unsure, "unfamiliar": unfamiliar, "corrected": corrected, "none": none or None}
    search_library(library, label, least, chosen, limit, copy, link, train, json)


@app.command()
def gallery(
    library: Annotated[Path, typer.Argument(help="A library that `etude index` wrote.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 0,
    browse: Annotated[bool, typer.Option(help="Open the browser.")] = True,
    debug: Debug = False,
) -> None:
    """Look through a library in the browser, and correct it."""
    from etude.cli.library import show_gallery

    show_gallery(library, port, browse)


@app.command()
def schema(debug: Debug = False) -> None:
    """Print the JSON Schema of study files, for editors."""
    from etude.cli.starting import print_schema

    print_schema()


add_examples(app)


def main() -> None:
    """Run the command line; every expected error is one sentence and an exit code."""
    signal.signal(signal.SIGTERM, _interrupt)
    is_debugging = "--debug" in sys.argv
    try:
        if app(standalone_mode=False) == EXIT_INTERRUPTED:  # some versions of typer make an exit code of Ctrl-C
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        _say("Interrupted. What was finished is kept; the same command goes on from there.")
        sys.exit(EXIT_INTERRUPTED)
    except EtudeError as error:
        if is_debugging:
            raise
        _say(str(error))
        sys.exit(error.exit_code)
    except Exception as error:
        sys.exit(_unexpected(error, is_debugging))


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Take SIGTERM as Ctrl-C: what runs is stopped in order."""
    raise KeyboardInterrupt


def _unexpected(error: Exception, is_debugging: bool) -> int:
    """Say what typer or the system says; anything else is a fault of ours."""
    import errno

    if isinstance(error, typer.Abort):
        _say("Interrupted. What was finished is kept; the same command goes on from there.")
        return EXIT_INTERRUPTED
    if isinstance(error, _usage_errors()):
        error.show()  # type: ignore[attr-defined]
        return MistakeError.exit_code
    if is_debugging:
        raise error
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        _say(f"The disk is full ({error.filename or 'while writing'}). Free some space; what was finished is kept.")
        return 3
    _say(
        f"A fault of Étude's own: {type(error).__name__}: {error}. Run it again with --debug and report what it shows."
    )
    return EXIT_FAULT


def _usage_errors() -> type[Exception]:
    """Return the base of typer's own errors, which it keeps to itself."""
    return next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")


def _say(text: str) -> None:
    typer.secho(text, err=True, fg="red" if sys.stderr.isatty() else None)
