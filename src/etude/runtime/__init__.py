"""Floor 2: what is deployed, without PyTorch: bundle, predictor, photo indexer, server, page."""

from etude.runtime.predictor import Predictor, load

__all__ = ["Predictor", "load"]
