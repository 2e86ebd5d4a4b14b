"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Sets = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a field, such as train.epochs=5.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
Results = Annotated[Path, typer.Option(help="Folder that holds the folders of studies.")]
Name = Annotated[
    str, typer.Option(help="Name of the study and of its folder, in place of that of the file or of the pictures.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print results and errors only.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Target = Annotated[
    str, typer.Argument(help="A study file, a folder with a folder of pictures per class, or 'quickstart'.")
]
