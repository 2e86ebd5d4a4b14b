"""Downloads against a server of our own: checked, resumed, unpacked in a jail, and a clear sentence without a network."""

import hashlib
import http.server
import io
import tarfile
import threading

import numpy as np
import pytest

from etude.core.errors import DataError
from etude.core.machine import cache_folder
from etude.data.download import fetch_archive
from etude.data.source import SOURCES, open_source
from etude.data.sources import cifar


class Server:
    """An HTTP server of one file; it can break off, refuse ranges, and it keeps what was asked for."""

    def __init__(self):
        self.content, self.stop_after, self.ranges, self.refuse, self.asked = b"", None, True, None, []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked = self.headers.get("Range")
                outer.asked.append(asked)
                if outer.refuse:
                    self.send_error(outer.refuse)
                    return
                start = int(asked.split("=")[1].rstrip("-")) if asked and outer.ranges else 0
                if start and start >= len(outer.content):
                    self.send_error(416)
                    return
                self.send_response(206 if start else 200)
                body = outer.content[start:]
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: outer.stop_after])

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/set.tar.gz"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def md5(self):
        return hashlib.md5(self.content).hexdigest()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.server.shutdown()
    server.server.server_close()


def archive(files, links=()):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for name, target in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
    return buffer.getvalue()


def test_a_set_is_fetched_once(server, tmp_path):
    server.content = archive({"set/a.txt": b"alpha", "set/b/c.txt": b"gamma"})
    folder = tmp_path / "deep" / "set"
    assert fetch_archive(server.url, server.md5, folder, otherwise="") == folder
    assert (folder / "b" / "c.txt").read_bytes() == b"gamma"
    fetch_archive(server.url, server.md5, folder, otherwise="")
    assert len(server.asked) == 1
    assert {entry.name for entry in folder.parent.iterdir()} == {"set", "set.lock"}


def test_a_stopped_download_goes_on(server, tmp_path):
    server.content = archive({"set/noise.bin": np.random.default_rng(0).bytes(300_000)})
    server.stop_after = 100_000
    with pytest.raises(DataError, match="the connection ended after 100000 of"):
        fetch_archive(server.url, server.md5, tmp_path / "set", otherwise="")
    assert not (tmp_path / "set").exists()
    server.stop_after = None
    fetch_archive(server.url, server.md5, tmp_path / "set", otherwise="")
    assert server.asked == [None, "bytes=100000-"]
    assert (tmp_path / "set" / "noise.bin").stat().st_size == 300_000


def test_a_server_without_ranges_starts_over(server, tmp_path):
    server.content = archive({"set/a.txt": b"alpha" * 1000})
    (tmp_path / "set.download").write_bytes(server.content[:50])
    server.ranges = False
    fetch_archive(server.url, server.md5, tmp_path / "set", otherwise="")
    assert (tmp_path / "set" / "a.txt").exists()


def test_a_whole_file_left_behind_is_used(server, tmp_path):
    server.content = archive({"set/a.txt": b"alpha"})
    (tmp_path / "set.download").write_bytes(server.content)
    fetch_archive(server.url, server.md5, tmp_path / "set", otherwise="")
    assert (tmp_path / "set" / "a.txt").exists()


def test_a_damaged_file_is_removed_and_said(server, tmp_path):
    server.content = archive({"set/a.txt": b"alpha"})
    with pytest.raises(DataError, match=r"must be a file with MD5 0{32}.*try again"):
        fetch_archive(server.url, "0" * 32, tmp_path / "set", otherwise="")
    assert {entry.name for entry in tmp_path.iterdir()} <= {"set.lock"}


@pytest.mark.parametrize(
    ("files", "links"),
    [({"../escaped.txt": b"x"}, ()), ({"/etc/escaped.txt": b"x"}, ()), ({"set/a": b"x"}, [("set/link", "../../..")])],
)
def test_an_archive_cannot_write_outside(server, tmp_path, files, links):
    server.content = archive(files, links)
    inner = tmp_path / "inner"
    try:
        fetch_archive(server.url, server.md5, inner / "set", otherwise="")
    except DataError as error:
        assert "tar archive of plain files" in str(error)  # noqa: PT017 - either outcome is safe
    assert not (tmp_path / "escaped.txt").exists()
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))


def test_without_a_network_the_sentence_says_what_to_do(tmp_path):
    with pytest.raises(DataError) as caught:
        fetch_archive("http://127.0.0.1:9/set.tar.gz", "0" * 32, tmp_path / "set", otherwise="Put it into $ETUDE_DATA.")
    said = str(caught.value)
    assert "http://127.0.0.1:9/set.tar.gz must be an address that can be reached" in said
    assert "refused" in said
    assert said.endswith("Put it into $ETUDE_DATA.")


def test_what_the_server_refuses_is_said(server, tmp_path):
    server.refuse = 404
    with pytest.raises(DataError, match="the server answered 404"):
        fetch_archive(server.url, "0" * 32, tmp_path / "set", otherwise="")


def test_the_cache_is_where_it_is_asked_to_be(monkeypatch, tmp_path):
    monkeypatch.setenv("ETUDE_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("ETUDE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "etude"


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_a_cifar_set_is_fetched_by_its_name(server, name, tmp_path, monkeypatch):
    edition = cifar._EDITIONS[name]
    rng = np.random.default_rng(0)

    def rows():
        drawn = rng.integers(0, 256, (20, edition.label_bytes + 3072), dtype=np.uint8)
        drawn[:, edition.label_bytes - 1] = np.arange(20) % 2
        return drawn

    train, test = rows(), rows()
    server.content = archive(
        {
            f"{edition.folder}/{edition.train.replace('*', '1')}": train.tobytes(),
            f"{edition.folder}/{edition.test}": test.tobytes(),
            f"{edition.folder}/{edition.names}": b"cat\ndog\n",
        }
    )
    monkeypatch.setenv("ETUDE_CACHE", str(tmp_path))
    monkeypatch.delenv("ETUDE_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    here = cifar._Edition(**{**edition.__dict__, "url": server.url, "md5": server.md5})
    monkeypatch.setitem(cifar._EDITIONS, name, here)
    source = open_source(name)
    assert source.classes == ("cat", "dog")
    assert np.bincount(source.items.official).tolist() == [20, 0, 20]
    red = train[3, edition.label_bytes : edition.label_bytes + 1024].reshape(32, 32)
    assert np.array_equal(source.raw(3)[..., 0], red)
    assert np.array_equal(source.raw(20)[5, 7], test[0, edition.label_bytes :].reshape(3, 32, 32)[:, 5, 7])
    assert SOURCES[name]().fingerprint() == source.fingerprint()
    assert len(server.asked) == 1


def test_a_cifar_file_that_is_cut_short_is_said(tmp_path):
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    (folder / "test_batch.bin").write_bytes(bytes(3073))
    (folder / "data_batch_1.bin").write_bytes(bytes(5000))
    (folder / "batches.meta.txt").write_text("cat\ndog\n")
    with pytest.raises(DataError, match=r"data_batch_1\.bin must be rows of 3073 bytes. Got '5000 bytes'"):
        open_source(str(tmp_path))
