"""Commands on what there is: runs, networks, pictures, and prepared pictures that are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from etude.cli.options import Debug, Json, Quiet, Results

runs_app = typer.Typer(help="The runs that studies have left behind.", no_args_is_help=True, rich_markup_mode=None)
models_app = typer.Typer(help="The networks that a study can name.", no_args_is_help=True, rich_markup_mode=None)
data_app = typer.Typer(help="The pictures that a study can use.", no_args_is_help=True, rich_markup_mode=None)
cache_app = typer.Typer(
    help="The prepared pictures that are kept between runs.", no_args_is_help=True, rich_markup_mode=None
)
data_app.add_typer(cache_app, name="cache")

SourceName = Annotated[str, typer.Argument(help="A registered source, or a path to pictures.")]
Out = Annotated[Path | None, typer.Option(help="Folder for what is written; by default results/data/NAME.")]
Categories = Annotated[
    bool, typer.Option("--categories", help="For Cityscapes, the 8 categories in the place of the 19 classes.")
]


@runs_app.command("list")
def runs_list(
    study: Annotated[str, typer.Argument(help="Only this study; all by default.")] = "",
    results: Results = Path("results"),
    json: Json = False,
    debug: Debug = False,
) -> None:
    """List the finished runs in the results folder."""
    from etude.cli.runs import list_runs

    list_runs(study, results, json)


@runs_app.command("prune")
def runs_prune(
    study: Annotated[str, typer.Argument(help="Name, folder or file of the study.")],
    results: Results = Path("results"),
    yes: Annotated[bool, typer.Option("--yes", help="Delete; without it the folders are only listed.")] = False,
    debug: Debug = False,
) -> None:
    """Delete runs that the study's present plan does not name (those of earlier versions of its file)."""
    from etude.cli.runs import prune_runs

    prune_runs(study, results, yes)


@models_app.command("list")
def models_list(json: Json = False, debug: Debug = False) -> None:
    """List the families of networks."""
    from etude.cli.models import list_models

    list_models(json)


@models_app.command("show")
def models_show(
    name: Annotated[str, typer.Argument(help="A family, or any name that timm knows.")],
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Show the card of a network and its parameters."""
    from etude.cli.models import show_model

    show_model(name, json)


@data_app.command("list")
def data_list(json: Json = False, debug: Debug = False) -> None:
    """List the sources: registered ones, and what lies in $ETUDE_DATA."""
    from etude.cli.data import list_sources

    list_sources(json)


@data_app.command("show")
def data_show(
    source: SourceName, out: Out = None, categories: Categories = False, json: Json = False, debug: Debug = False
) -> None:  # fmt: skip
    """Show what a source holds, and write a contact sheet as PNG and HTML."""
    from etude.cli.data import show_source

    show_source(source, out, json, categories=categories)


@data_app.command("check")
def data_check(
    source: SourceName,
    out: Out = None,
    limit: Annotated[int | None, typer.Option(help="Look at up to so many pictures, whatever it takes.")] = None,
    labels: Annotated[bool, typer.Option("--labels", help="Look for wrong labels too.")] = False,
    answers: Annotated[
        Path | None, typer.Option(help="Look at labels by these answers: oof/NAME.parquet of a study with folds.")
    ] = None,
    categories: Categories = False,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Look for faulty files, duplicates, wrong masks, leaks between the official parts and, if asked, wrong labels."""
    from etude.cli.data import run_check

    run_check(source, out, limit, json, quiet, labels=labels, answers=answers, categories=categories)


@data_app.command("fetch")
def data_fetch(
    name: Annotated[str, typer.Argument(help="A set that is published, such as cifar10.")], debug: Debug = False
) -> None:  # fmt: skip
    """Download a published set into the cache, or say how to get it."""
    from etude.cli.data import fetch

    fetch(name)


@cache_app.command("list")
def cache_list(json: Json = False, debug: Debug = False) -> None:
    """List what is kept, the last used first."""
    from etude.cli.cache import list_cache

    list_cache(json)


@cache_app.command("clear")
def cache_clear(debug: Debug = False) -> None:
    """Remove all of it; it is made again when it is needed."""
    from etude.cli.cache import clear_cache

    clear_cache()


@cache_app.command("limit")
def cache_limit(
    size: Annotated[str, typer.Argument(help="The most that is kept, such as 20GB; 0 keeps nothing.")],
    debug: Debug = False,
) -> None:
    """Set how much is kept; what was unused for longest goes first."""
    from etude.cli.cache import limit_cache

    limit_cache(size)
