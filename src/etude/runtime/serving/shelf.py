"""The bundles that are offered, each opened, tested and named; taken anew on demand while requests go on."""

from __future__ import annotations

from pathlib import Path

from etude.core.errors import BundleError, MistakeError, sentence
from etude.core.registry import unknown
from etude.runtime.bundled import CARD_FILE
from etude.runtime.opening import Model, open_bundle


class Shelf:
    """The models of a server, by name.

    Args:
        paths: the bundles.
        max_pixels: refuse pictures with more pixels than this.

    Raises:
        BundleError: if one cannot be used, or fails its own test.
        MistakeError: if there is none, or two have one name.
    """

    def __init__(self, paths: list[Path], max_pixels: int) -> None:
        self._paths, self._max_pixels = paths, max_pixels
        self._models = self._open()

    def reload(self) -> list[str]:
        """Open the bundles anew; requests that have begun keep the models that they began with.

        Returns:
            The names of the models that changed.

        Raises:
            BundleError: if one cannot be used; all stay as they are.
        """
        before, self._models = self._models, self._open()
        now = self._models
        kept = {name for name in before.keys() & now.keys() if before[name].fingerprint == now[name].fingerprint}
        return sorted((before.keys() | now.keys()) - kept)

    def all(self) -> list[Model]:
        """Return all models, in the order in which they were given."""
        return list(self._models.values())

    def find(self, name: str | None, task: str | None = None) -> Model:
        """Return a model by its name; without one, the first that does the task.

        Raises:
            MistakeError: if there is none.
        """
        if name is not None:
            if name not in self._models:
                raise MistakeError(unknown("model", name[:100], list(self._models)))
            model = self._models[name]
            if task is not None and model.task != task:
                raise MistakeError(sentence("model", name, f"one for {task}", model.task))
            return model
        for model in self._models.values():
            if task is None or model.task == task:
                return model
        raise MistakeError(f"model: none of those that are offered is for {task}. Offered: {', '.join(self._models)}.")

    def _open(self) -> dict[str, Model]:
        models: dict[str, Model] = {}
        if not self._paths:
            raise MistakeError(sentence("serve", "BUNDLE", "given", "none"))
        for path in self._paths:
            model = open_bundle(path, threads=1, max_pixels=self._max_pixels, reads_heic=False)
            if model.name in models:
                remedy = "Export one of them under another name: etude export --name."
                raise BundleError(sentence("serve", str(path), "a bundle of another name", model.name, remedy))
            model.self_test()
            model.document(CARD_FILE)  # the API tells it: a bundle without one is refused here
            models[model.name] = model
        return models
