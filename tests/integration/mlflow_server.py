"""An MLflow server on this machine: MLflow's own where it is installed whole, else a stand-in for it.

The stand-in speaks the REST of the calls that a tracking client makes, in MLflow's own messages, over MLflow's own SQLite
store; only what carries them is ours.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_PREFIX = "/api/2.0/mlflow"
_ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Run a server whose runs and files lie in a folder; gives its address."""
    is_whole = find_spec("mlflow.server") is not None and find_spec("flask") is not None
    with _own(folder) if is_whole else _stand_in(folder) as url:
        yield url


@contextlib.contextmanager
def _own(folder: Path) -> Iterator[str]:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    options = ["--backend-store-uri", f"sqlite:///{folder}/store.db", "--artifacts-destination", str(folder / "files")]
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1", *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _await(f"{url}/health", server)
            yield url
        finally:
            server.terminate()


def _await(url: str, server: subprocess.Popen[bytes], most_seconds: float = 120.0) -> None:
    """Wait until a server answers; fail where it ends, or takes too long."""
    until = time.monotonic() + most_seconds
    while server.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=1):
            return
        time.sleep(0.1)
    raise RuntimeError(f"{url} did not answer")


@contextlib.contextmanager
def _stand_in(folder: Path) -> Iterator[str]:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    class Answering(http.server.BaseHTTPRequestHandler):
        store = SqlAlchemyStore(f"sqlite:///{folder}/store.db", "mlflow-artifacts:/")
        files = folder / "files"

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            given = dict(urllib.parse.parse_qsl(query))
            if path == _ARTIFACTS:
                files = (self.files / given["path"]).glob("*")  # none where it is a file itself
                self._send(200, {"files": [{"path": at.name, "is_dir": False} for at in files]})
            elif path.startswith(_ARTIFACTS):
                self._send(200, (self.files / path.removeprefix(_ARTIFACTS + "/")).read_bytes())
            else:
                self._call(path, given)

        def do_POST(self) -> None:
            self._call(self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def do_PUT(self) -> None:
            at = self.files / urllib.parse.unquote(self.path.removeprefix(_ARTIFACTS + "/"))
            at.parent.mkdir(parents=True, exist_ok=True)
            at.write_bytes(self._body())
            self._send(200, {})

        def _body(self) -> bytes:
            if "Content-Length" in self.headers:
                return self.rfile.read(int(self.headers["Content-Length"]))
            body = b""
            while size := int(self.rfile.readline(), 16):  # in chunks, as an empty file comes
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def _call(self, path: str, given: dict[str, Any]) -> None:
            from mlflow.exceptions import MlflowException

            deed = _DEEDS.get(path.removeprefix(_PREFIX))
            if deed is None:
                self._send(404, {"error_code": "ENDPOINT_NOT_FOUND", "message": path})
                return
            try:
                self._send(200, deed(self.store, given))
            except MlflowException as error:
                self._send(error.get_http_status_code(), {"error_code": error.error_code, "message": error.message})

        def _send(self, status: int, content: Any) -> None:
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    (folder / "files").mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def _told(entity: Any) -> Any:
    from mlflow.utils.proto_json_utils import message_to_json

    return json.loads(message_to_json(entity.to_proto()))


def _by_name(store: Any, given: dict[str, Any]) -> Any:
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST

    found = store.get_experiment_by_name(given["experiment_name"])
    if found is None:
        raise MlflowException("no such experiment", RESOURCE_DOES_NOT_EXIST)
    return {"experiment": _told(found)}


def _create_run(store: Any, given: dict[str, Any]) -> Any:
    from mlflow.entities import RunTag

    tags = [RunTag(tag["key"], tag["value"]) for tag in given.get("tags", [])]
    run = store.create_run(given["experiment_id"], "", int(given["start_time"]), tags, given.get("run_name", ""))
    return {"run": _told(run)}


def _update_run(store: Any, given: dict[str, Any]) -> Any:
    from mlflow.entities import RunStatus

    status = RunStatus.from_string(given["status"])
    info = store.update_run_info(given["run_id"], status, int(given["end_time"]), given.get("run_name"))
    return {"run_info": _told(info)}


def _log_batch(store: Any, given: dict[str, Any]) -> Any:
    from mlflow.entities import Metric, Param, RunTag

    store.log_batch(
        given["run_id"],
        [Metric(m["key"], m["value"], int(m["timestamp"]), int(m.get("step", 0))) for m in given.get("metrics", [])],
        [Param(param["key"], param["value"]) for param in given.get("params", [])],
        [RunTag(tag["key"], tag["value"]) for tag in given.get("tags", [])],
    )
    return {}


def _search(store: Any, given: dict[str, Any]) -> Any:
    from mlflow.entities import ViewType

    most = int(given.get("max_results", 1000))
    found = store.search_runs(given["experiment_ids"], given.get("filter", ""), ViewType.ACTIVE_ONLY, most)
    return {"runs": [_told(run) for run in found]}


_DEEDS = {
    "/experiments/get-by-name": _by_name,
    "/experiments/create": lambda store, given: {"experiment_id": store.create_experiment(given["name"])},
    "/experiments/get": lambda store, given: {"experiment": _told(store.get_experiment(given["experiment_id"]))},
    "/runs/create": _create_run,
    "/runs/update": _update_run,
    "/runs/log-batch": _log_batch,
    "/runs/search": _search,
    "/runs/get": lambda store, given: {"run": _told(store.get_run(given["run_id"]))},
    "/metrics/get-history": lambda store, given: {
        "metrics": [_told(metric) for metric in store.get_metric_history(given["run_id"], given["metric_key"])]
    },
}
