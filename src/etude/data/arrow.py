"""The door to pyarrow: imported only when a Parquet file is read or written."""

from __future__ import annotations

from typing import Any

from etude.core.errors import MissingPartError
from etude.core.extras import install


def arrow() -> tuple[Any, Any]:
    """Return the modules `pyarrow` and `pyarrow.parquet`.

    Raises:
        MissingPartError: if pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        told = "data: pyarrow must be installed to read and write Parquet files."
        raise MissingPartError(f"{told} {install('train')}") from error
    return pyarrow, pyarrow.parquet
