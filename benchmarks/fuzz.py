"""Ten thousand hostile requests against a real server: no 5xx but the deliberate 503, no growth of memory, no hang.

Mutated pictures of every format, a JPEG of as many scans as are let in, a TIFF of one large tile, a GIF of a large
screen, forged headers and lengths, broken forms, chunked bodies that end early; beside them bodies that come a byte at
a time, sixteen at once. Then schemathesis asks what the server's OpenAPI description allows and what it forbids, and
holds every answer against it: statuses, types, headers, schemas.

    python benchmarks/fuzz.py [--requests 10000] [--slow 300] [--examples 300]
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import importlib.util
import io
import json
import random
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from deployed import MOBILENET, UNET, draw_jpeg, make_graphs, make_network, write_bundle
from etude.evaluate.cost import machine_words
from etude.pictures.bounds import MAX_SCANS
from serving import Server

PATHS = ("/v1/predict", "/v1/segment", "/v1/segment?as=overlay", "/v1/segment?as=json", "/v1/predict?top=3",
         "/v1/predict?top=-1", "/%00", "/v1/../etc")  # fmt: skip
_BODY_TIMEOUT_S, _AT_ONCE = 3.0, 16
_GROWTH = 1.1
"""The resident memory of the last quarter over that of the second one."""
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")


def seeds() -> list[bytes]:
    """Return a good picture of every format, and a few that are as costly as can be."""
    image = Image.open(io.BytesIO(draw_jpeg((96, 64), 0)))
    found = []
    for kind in FORMATS:
        packed = io.BytesIO()
        image.save(packed, kind)
        found.append(packed.getvalue())
    return [*found, of_many_scans(), of_a_large_tile(), of_a_large_screen()]


def of_many_scans() -> bytes:
    """Return a progressive JPEG of 4 megapixels that says its last scan over and over, just not too often."""
    packed = io.BytesIO()
    Image.open(io.BytesIO(draw_jpeg((2000, 2000), 0))).save(packed, "JPEG", progressive=True)
    content = packed.getvalue()
    last, end = content.rindex(b"\xff\xda"), content.rindex(b"\xff\xd9")
    return content[:end] + content[last:end] * (MAX_SCANS - content.count(b"\xff\xda")) + content[end:]


def of_a_large_tile() -> bytes:
    """Return a TIFF of 64 × 64 pixels in one tile of 4096 × 4096, which libtiff decodes whole: 48 MiB of 49 kB."""
    tile = zlib.compress(bytes(4096 * 4096 * 3), 9)
    beside = 8 + 2 + 12 * 10 + 4
    fields = ((256, 1, 64), (257, 1, 64), (258, 3, beside), (259, 1, 8), (262, 1, 2), (277, 1, 3),
              (322, 1, 4096), (323, 1, 4096), (324, 1, beside + 12), (325, 1, len(tile)))  # fmt: skip
    rows = b"".join(struct.pack("<HHII", tag, 4, count, value) for tag, count, value in fields)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(fields)) + rows + bytes(4) + struct.pack("<3I", 8, 8, 8) + tile


def of_a_large_screen() -> bytes:
    """Return a GIF of 43 bytes and 7000 × 7000 pixels, whose frame is to be cleared: its canvas is reserved early."""
    head = b"GIF89a" + struct.pack("<HHBBB", 7000, 7000, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    return head + b"!\xf9\4\x08\0\0\0\0," + struct.pack("<HHHHB", 0, 0, 7000, 7000, 0) + b"\2\2\x44\1\0;"


def mutate(rng: random.Random, content: bytes) -> bytes:
    """Flip, cut, double or overwrite parts of a file."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        at = rng.randrange(max(1, min(len(changed), rng.choice((32, 200, len(changed) or 1)))))
        kind = rng.randrange(5)
        if kind == 0 and changed:
            changed[at % len(changed)] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del changed[at : at + rng.randrange(1, 64)]
        elif kind == 2:
            changed[at:at] = rng.randbytes(rng.randrange(1, 64))
        elif kind == 3:
            changed[at : at + 4] = rng.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\x80\0\0\0"))
        else:
            del changed[at:]
    return bytes(changed)


def hostile(rng: random.Random, good: list[bytes]) -> tuple[bytes, bool]:
    """Return the bytes of one request, and whether it is whole: then it must be answered."""
    body = mutate(rng, rng.choice(good))
    path = rng.choice((*PATHS, "/v1/predict?model=" + "x" * rng.randrange(300)))
    kind = rng.randrange(8)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n".encode()
    if kind <= 3:
        return head + f"Content-Length: {len(body)}\r\n\r\n".encode() + body, True
    if kind == 4:
        part = b'Content-Disposition: form-data; name="p"; filename="a.jpg"\r\n\r\n' + body
        form = b"--b\r\n" + part + b"\r\n--b--\r\n"
        form = mutate(rng, form) if rng.random() < 0.7 else form
        told = f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {len(form)}\r\n\r\n"
        return head + told.encode() + form, True
    if kind == 5:
        length = rng.choice(("-1", "99999999999", "1e3", "0x10", "", "18446744073709551616", "5, 6"))
        return head + f"Content-Length: {length}\r\n\r\n".encode() + body[:100], True
    if kind == 6:
        chunks = b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in (body[:50], body[50:]) if part)
        chunked = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
        return (chunked, True) if rng.random() < 0.5 else (chunked[: rng.randrange(len(chunked))], False)
    return mutate(rng, head + f"Content-Length: {len(body)}\r\n\r\n".encode() + body), False


def send(port: int, request: bytes, *, is_whole: bool = True) -> str:
    """Send a request; return the status, 'closed', 'unfinished' where it was given up, or 'hung'."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=30 if is_whole else 0.2) as connection:
            connection.sendall(request)
            heard = b""
            while b"\r\n" not in heard and (chunk := connection.recv(65536)):
                heard += chunk
            while connection.recv(65536):
                pass
            return heard[9:12].decode("latin1") if heard else "closed"
    except TimeoutError:
        return "hung" if is_whole else "unfinished"
    except OSError:
        return "closed"


def trickle(port: int, length: int) -> str:
    """Send a body a byte at a time until the server has had enough; return as `send` does."""
    head = f"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_BODY_TIMEOUT_S + 10) as connection:
            connection.sendall(head.encode())
            connection.setblocking(False)
            ends = time.perf_counter() + _BODY_TIMEOUT_S + 10
            heard = b""
            while time.perf_counter() < ends:
                with contextlib.suppress(BlockingIOError):
                    connection.send(b"x")
                time.sleep(0.1)
                with contextlib.suppress(BlockingIOError):
                    chunk = connection.recv(65536)
                    heard += chunk
                    if not chunk:
                        return heard[9:12].decode("latin1") if heard else "closed"
            return "hung"
    except OSError:
        return "closed"


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process in MiB."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def hold_against_description(port: int, examples: int, seed: int, folder: Path) -> dict[str, object]:
    """Have schemathesis ask the server about each of its operations; return what it found.

    What fits the description may still be refused, as bytes need not be a picture: that check is left out.
    """
    if importlib.util.find_spec("schemathesis") is None:
        return {"skipped": "schemathesis is not installed"}
    report = folder / "schemathesis.json"
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"http://127.0.0.1:{port}/openapi.json",
        "--exclude-checks", "positive_data_acceptance", "--phases", "examples,coverage,fuzzing",
        "--max-examples", str(examples), "--seed", str(seed), "--continue-on-failure", "--no-shrink",
        "--report", "json", "--report-json-path", str(report),
    ]  # fmt: skip
    subprocess.run(command, cwd=folder, capture_output=True, check=False)
    told = json.loads(report.read_text())
    return {
        "operations": told["operations"]["tested"],
        "cases": told["test_cases"]["generated"],
        "failures": [*told["failures"], *told["errors"]],
        "seconds": round(told["running_time"]),
    }


def main() -> None:
    """Send the requests and print what came back."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--slow", type=int, default=300, help="bodies that come a byte at a time")
    parser.add_argument("--examples", type=int, default=300, help="cases of schemathesis for each operation")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng, good, statuses = random.Random(given.seed), seeds(), collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        paths = [write_bundle(Path(folder) / f"{name}.bundle", case, make_graphs(make_network(case), case[2])["int8"])
                 for name, case in (("mobilenet", MOBILENET), ("unet", UNET))]  # fmt: skip
        server = Server(paths[0], str(paths[1]), "--max-megapixels", "4",
                        "--body-timeout", str(_BODY_TIMEOUT_S))  # fmt: skip
        memory, longest = [], 0.0
        slowly = ThreadPoolExecutor(_AT_ONCE)
        try:
            slow = [slowly.submit(trickle, server.port, rng.randrange(100, 1_000_000)) for _ in range(given.slow)]
            for number in range(given.requests):
                started = time.perf_counter()
                request, is_whole = hostile(rng, good)
                status = send(server.port, request, is_whole=is_whole)
                statuses[status] += 1
                longest = max(longest, time.perf_counter() - started)
                if number % max(1, given.requests // 20) == 0:
                    memory.append(round(resident_mb(server.process.pid), 1))
            of_slow = collections.Counter(future.result() for future in slow)
            described = hold_against_description(server.port, given.examples, given.seed, Path(folder))
            alive = send(server.port, b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            memory.append(round(resident_mb(server.process.pid), 1))
        finally:
            slowly.shutdown(cancel_futures=True)
            server.close()
    all_statuses = statuses + of_slow
    faults = sum(count for status, count in all_statuses.items() if status[:1] == "5" and status != "503")
    early, late = statistics.median(memory[5:10]), statistics.median(memory[-5:])
    print(
        json.dumps(
            {
                "benchmark": "fuzz",
                "machine": machine_words(),
                "requests": given.requests,
                "statuses": dict(sorted(statuses.items())),
                "slow_bodies": dict(sorted(of_slow.items())),
                "faults": faults,
                "hung": all_statuses["hung"],
                "memory_late_over_early": round(late / early, 3),
                "holds": faults == 0 and all_statuses["hung"] == 0 and late / early <= _GROWTH,
                "described": described,
                "longest_s": round(longest, 2),
                "ready_after": alive,
                "resident_mb": memory,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
