"""What each command's `--help` ends with: commands to copy."""

from __future__ import annotations

from collections.abc import Iterator

import typer
from typer.models import CommandInfo

EXAMPLES = {
    "run": (
        "etude run quickstart",
        "etude run photos/ --set protocol.seeds=3",
        "etude run photos/ --set train.epochs=40 --name photos-longer",
        "etude run studies/cifar10-models.yaml --results /data/results",
    ),
    "plan": ("etude plan breeds.yaml", "etude plan breeds.yaml --no-measure --json"),
    "compare": ("etude compare breeds breeds-large", "etude compare breeds breeds-large --baseline breeds/own"),
    "new": ("etude new breeds --data photos/", "etude new lions --data photos/ --task generation"),
    "report": (
        "etude report breeds --format all --language fr",
        "etude report breeds --format markdown --to studies/breeds",
    ),
    "explain": ("etude explain breeds", "etude explain breeds --part layers --language en"),
    "export": (
        "etude export breeds --to breeds.bundle",
        "etude export breeds --to small.bundle --int8",
        "etude export streets --to streets.bundle --logits",
    ),
    "predict": ("etude predict breeds.bundle photo.jpg", "etude predict breeds.bundle --self-test"),
    "generate": (
        "etude generate pandas.bundle --count 64 --seed 7 --to pandas/",
        "etude generate animals.bundle --class lion --count 9 --to lions/",
    ),
    "serve": (
        "etude serve breeds.bundle",
        "etude serve breeds.bundle --keys keys.txt --new-key shelter",
        "etude serve breeds.bundle --host 0.0.0.0 --keys keys.txt",
    ),
    "index": ("etude index breeds.bundle /media/disk --to library.sqlite",),
    "search": (
        "etude search library.sqlite --class husky --min 0.8",
        "etude search library.sqlite --corrected --train corrected/",
    ),
    "gallery": ("etude gallery library.sqlite",),
    "schema": ("etude schema > study.schema.json",),
    "runs list": ("etude runs list", "etude runs list breeds --json"),
    "runs prune": ("etude runs prune breeds", "etude runs prune breeds --yes"),
    "models list": ("etude models list",),
    "models show": ("etude models show resnet", "etude models show mobilenetv2_100"),
    "data list": ("etude data list",),
    "data show": ("etude data show photos/", "etude data show cifar10 --out sheets/"),
    "data check": (
        "etude data check photos/",
        "etude data check photos/ --labels",
        "etude data check photos/ --answers results/breeds/oof/cnn.parquet",
    ),
    "data fetch": ("etude data fetch cifar10",),
    "data cache list": ("etude data cache list",),
    "data cache clear": ("etude data cache clear",),
    "data cache limit": ("etude data cache limit 50GB",),
}
"""By the words that call a command."""


def add_examples(app: typer.Typer) -> None:
    """Let every command that has examples end its help with them."""
    for words, command in walk(app):
        if lines := EXAMPLES.get(words):
            command.epilog = "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))


def walk(app: typer.Typer, before: str = "") -> Iterator[tuple[str, CommandInfo]]:
    """Yield every command of an app with the words that call it."""
    for command in app.registered_commands:
        assert command.callback is not None
        yield before + (command.name or command.callback.__name__.replace("_", "-")), command
    for group in app.registered_groups:
        if group.typer_instance is not None:
            yield from walk(group.typer_instance, f"{before}{group.name} ")
