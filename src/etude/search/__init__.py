"""Hyper-parameter search: it knows a space, a way of sampling and a function that evaluates a configuration.

The one host of optuna, which is imported inside the functions that need it.
"""

from etude.search.config import SearchConfig
from etude.search.space import Parameter, Space, make_space

__all__ = ["Parameter", "SearchConfig", "Space", "make_space"]
