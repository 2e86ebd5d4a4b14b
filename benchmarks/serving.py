"""Deployment: the bundle against PyTorch eager, and the server against the bare loop of decoding and answering.

Predictor: one picture at a time, prepared by the same code on both sides, in turns: a frame that has the network's size
already, as a camera gives it, and a JPEG file of 640 × 480, whose decoding all pay alike. PyTorch runs the network and
its softmax alone; the predictors are those of `load`, asked as anybody asks them, with all that their answers tell.
Server: a real process and a client on the same machine; the bare loop runs on the cores that the client leaves, while
it drives an echo server at the same rate. Latencies are of what was answered (200); its share stands beside them.

    python benchmarks/serving.py [--only predictor|server] [--seconds 8] [--rounds 8]
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from deployed import MOBILENET, UNET, Case, draw_jpeg, make_graphs, make_network, write_bundle
from etude.core.machine import usable_threads
from etude.evaluate.cost import machine_words
from etude.export.graph import Deployed
from etude.pictures.prepare import prepare_picture
from etude.pictures.prepare_config import Prepare
from etude.pictures.reading import RawPicture
from etude.runtime.predictor import Predictor, load
from etude.runtime.reference import drawn_pictures

CALLS = 12
N_CLASSES = MOBILENET[3]
SAME = 1e-4
"""Probabilities that differ by no more than this are the same: a batch is not summed in the order of one picture."""
RECOVERY_S = 2.0
"""So long after the last arrival of an overload, requests are answered as before it."""
AS_BEFORE = 1.5
"""As before: at a median latency of no more than this many times that of a lone request."""
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def measure_predictor(case: Case, rounds: int) -> dict[str, object]:
    """Time PyTorch eager and both bundles on a frame and on a JPEG file; return medians in ms and ratios."""
    task, _, prepare, _ = case
    deployed = make_network(case)
    raws: dict[str, RawPicture] = {
        "frame": drawn_pictures((prepare.height_px, prepare.width_px), 1)[0],
        "jpeg": draw_jpeg((640, 480), 0),
    }
    with tempfile.TemporaryDirectory() as folder:
        models = {
            name: load(write_bundle(Path(folder) / f"{name}.bundle", case, graph), threads=usable_threads())
            for name, graph in make_graphs(deployed, prepare).items()
        }
    plain = Deployed(deployed.model, prepare, task).eval()
    return {form: _time_in_turns(plain, models, raw, prepare, rounds) for form, raw in raws.items()}


def _time_in_turns(
    plain: Deployed, models: dict[str, Predictor], raw: RawPicture, prepare: Prepare, rounds: int
) -> dict[str, object]:
    """Time one picture through each way in turns; the first round only warms up."""

    @torch.inference_mode()
    def eager() -> None:
        plain(torch.from_numpy(prepare_picture(raw, prepare)[None].copy()))

    ways: dict[str, Callable[[], object]] = {"eager": eager}
    for name, model in models.items():
        ways[name] = lambda model=model: model(raw)
    ways["prepare"] = lambda: prepare_picture(raw, prepare)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            for _ in range(CALLS):
                started = time.perf_counter()
                way()
                if number:
                    times[name].append(1000 * (time.perf_counter() - started))
    middle = {name: statistics.median(values) for name, values in times.items()}
    return {
        "ms": {name: round(value, 2) for name, value in middle.items()},
        "fp32_times_as_fast_as_eager": round(middle["eager"] / middle["fp32"], 2),
        "int8_times_as_fast_as_eager": round(middle["eager"] / middle["int8"], 2),
        "int8_times_as_fast_as_fp32": round(middle["fp32"] / middle["int8"], 2),
    }


class Client:
    """Asks over kept connections, in closed loops or at constant arrivals, and keeps every time and status."""

    def __init__(self, port: int, bodies: list[bytes], path: str = f"/v1/predict?top={N_CLASSES}") -> None:
        self.port, self.path = port, path
        self.last_arrival = 0.0
        self.requests = [
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
            for body in bodies
        ]
        self.answers: list[tuple[float, int, int, bytes]] = []

    async def ask(self, number: int, streams: Streams, since: float | None = None) -> int:
        """Ask once; note the seconds since then or now, the status and the body."""
        reader, writer = streams
        started = time.perf_counter() if since is None else since
        writer.write(self.requests[number % len(self.requests)])
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head.split(None, 2)[1])
        length = int(
            next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")).split()[1]
        )
        body = await reader.readexactly(length)
        self.answers.append((time.perf_counter() - started, status, number % len(self.requests), body))
        return status

    async def closed(self, connections: int, seconds: float) -> float:
        """Let so many callers ask as fast as they are answered; return answers a second."""
        ends = time.perf_counter() + seconds

        async def caller(first: int) -> int:
            streams = await asyncio.open_connection("127.0.0.1", self.port)
            count = 0
            while time.perf_counter() < ends:
                count += (await self.ask(first + count, streams)) == 200
            streams[1].close()
            return count

        started = time.perf_counter()
        counts = await asyncio.gather(*(caller(number) for number in range(connections)))
        return sum(counts) / (time.perf_counter() - started)

    async def arrivals(self, rate: float, seconds: float, connections: int) -> None:
        """Ask at constant arrivals, whether or not the earlier ones are answered; times count from the arrival."""
        free: asyncio.Queue[Streams] = asyncio.Queue()
        for _ in range(connections):
            free.put_nowait(await asyncio.open_connection("127.0.0.1", self.port))
        began = time.perf_counter()
        tasks = set()

        async def one(number: int) -> None:
            streams = await free.get()
            await self.ask(number, streams, began + number / rate)
            free.put_nowait(streams)

        for number in range(int(rate * seconds)):
            wait = began + number / rate - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            tasks.add(asyncio.create_task(one(number)))
        self.last_arrival = time.perf_counter()
        await asyncio.gather(*tasks)
        while not free.empty():
            free.get_nowait()[1].close()

    def percentile_ms(self, percent: float) -> float:
        """Return a percentile of the latency of what was answered, in ms."""
        return float(np.percentile([seconds for seconds, status, *_ in self.answers if status == 200], percent) * 1000)

    def statuses(self) -> dict[str, int]:
        """Return how often each status came."""
        return {str(status): count for status, count in Counter(entry[1] for entry in self.answers).items()}

    def answered_share(self) -> float:
        """Return the share of the requests that were answered 200."""
        return sum(entry[1] == 200 for entry in self.answers) / len(self.answers)


def told_numbers(prediction: dict[str, Any]) -> npt.NDArray[np.float64]:
    """Return the probabilities of an answer in the order of the names of the classes, then its familiarity."""
    by_name = sorted((entry["label"], entry["probability"]) for entry in prediction["top"])
    return np.array([*(probability for _, probability in by_name), prediction["familiarity"]])


def compare_answers(answers: list[tuple[float, int, int, bytes]], truth: list[npt.NDArray[np.float64]]) -> float:
    """Return the largest difference between what was answered under load and what the predictor answers.

    Raises:
        RuntimeError: if two of the pictures are answered so alike that a mix-up would not show.
    """
    apart = min(float(np.abs(a - b).max()) for a, b in itertools.combinations(truth, 2))
    if apart < 10 * SAME:
        raise RuntimeError(f"the answers of two pictures differ by {apart:.2g} only: nothing can be told from them")
    accepted = [(at, json.loads(body)["predictions"][0]) for _, status, at, body in answers if status == 200]
    return max((float(np.abs(told_numbers(row) - truth[at]).max()) for at, row in accepted), default=float("inf"))


class Server:
    """A server process over one bundle."""

    def __init__(self, bundle: Path, *words: str) -> None:
        command = [sys.executable, "-m", "etude", "serve", str(bundle), "--port", "0", *words]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        line = next(line for line in self.process.stderr if line.startswith("Listening"))
        self.port = int(line.split()[2].rsplit(":", 1)[1])
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def close(self) -> None:
        """Stop it."""
        self.process.terminate()
        self.process.wait(40)


ECHO = """
import asyncio
async def serve(reader, writer):
    while True:
        head = await reader.readuntil(b"\\r\\n\\r\\n")
        length = int(next(l for l in head.lower().split(b"\\r\\n") if l.startswith(b"content-length")).split()[1])
        await reader.readexactly(length)
        writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\n{}")
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 22)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


def bare_rate(bundle: Path, bodies: list[bytes], seconds: float, client_rate: float) -> float:
    """Return pictures a second of decoding and answering in threads, while the client drives an echo server."""
    echo = subprocess.Popen([sys.executable, "-c", ECHO], stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL)
    assert echo.stdout is not None
    port = int(echo.stdout.readline())
    words = [sys.executable, __file__, "--drive", str(port), str(client_rate), str(seconds + 1)]
    driver = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    model = load(bundle, threads=1)
    model(bodies[0])
    assert driver.stdout is not None
    driver.stdout.readline()  # what it imports first would take more of the cores than the client does
    time.sleep(0.5)
    ends, counts = time.perf_counter() + seconds, [0] * usable_threads()

    def work(at: int) -> None:
        while time.perf_counter() < ends:
            batch = [model.read(bodies[(counts[at] + row) % len(bodies)]) for row in range(4)]
            model.answer(np.stack([pixels for pixels, _ in batch]), [seen for _, seen in batch])
            counts[at] += 4

    threads = [threading.Thread(target=work, args=(at,)) for at in range(len(counts))]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = sum(counts) / (time.perf_counter() - started)
    driver.terminate()
    echo.terminate()
    driver.wait()
    echo.wait()
    return rate


async def drive(port: int, rate: float, seconds: float) -> None:
    """Ask a server at constant arrivals, and print a line as soon as it answers."""
    client = Client(port, [draw_jpeg((1024, 768), seed) for seed in range(8)])
    asking = asyncio.create_task(client.arrivals(rate, seconds, 16))
    while not client.answers:
        await asyncio.sleep(0.01)
    print("driving", flush=True)
    await asking


def measure_server(seconds: float) -> dict[str, object]:
    """Measure saturation against the bare loop, latency at 70 % of it, and behaviour at four times it."""
    bodies = [draw_jpeg((1024, 768), seed) for seed in range(8)]
    with tempfile.TemporaryDirectory() as folder:
        graph = make_graphs(make_network(MOBILENET), MOBILENET[2])["fp32"]
        bundle = write_bundle(Path(folder) / "mobilenet.bundle", MOBILENET, graph)
        truth = [told_numbers(answer.as_json(N_CLASSES)) for answer in load(bundle)(bodies)]
        server = Server(bundle, "--queue", "16")
        try:
            warm, lone, full, steady, over, after = (Client(server.port, bodies) for _ in range(6))
            asyncio.run(warm.closed(1, 2.0))
            asyncio.run(lone.closed(1, seconds / 2))
            saturation = asyncio.run(full.closed(12, seconds))
            asyncio.run(steady.arrivals(0.7 * saturation, seconds, 32))
            asyncio.run(over.arrivals(4 * saturation, seconds / 2, 64))
            tail_s = time.perf_counter() - over.last_arrival
            time.sleep(max(0.0, RECOVERY_S - tail_s))
            asyncio.run(after.closed(1, 2.0))
        finally:
            server.close()
        bare = bare_rate(bundle, bodies, seconds, saturation)
    largest = compare_answers(over.answers, truth)
    p50, p99 = lone.percentile_ms(50), steady.percentile_ms(99)
    slower = after.percentile_ms(50) / p50
    return {
        "saturation_per_s": round(saturation, 1),
        "bare_per_s": round(bare, 1),
        "saturation_of_bare": round(saturation / bare, 3),
        "lone_p50_ms": round(p50, 1),
        "p99_at_70_percent_ms": round(p99, 1),
        "p99_times_lone_p50": round(p99 / p50, 2),
        "answered_at_70_percent": round(steady.answered_share(), 4),
        "overload_statuses": over.statuses(),
        "overload_largest_difference_of_a_probability": float(f"{largest:.2g}"),
        "overload_accepted_right": largest <= SAME,
        "overload_tail_s": round(tail_s, 2),
        "statuses_after_overload": after.statuses(),
        "p50_after_overload_times_lone_p50": round(slower, 2),
        "recovered": tail_s <= RECOVERY_S and after.answered_share() == 1.0 and slower <= AS_BEFORE,
    }


def main() -> None:
    """Measure and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["predictor", "server"])
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--drive", nargs=3, metavar=("PORT", "RATE", "SECONDS"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.drive:
        port, rate, seconds = given.drive
        asyncio.run(drive(int(port), float(rate), float(seconds) + 3))
        return
    told: dict[str, object] = {"benchmark": "serving", "machine": machine_words()}
    if given.only != "server":
        told["mobilenetv2_224"] = measure_predictor(MOBILENET, given.rounds)
        told["unet_mobilenetv2_256x512"] = measure_predictor(UNET, given.rounds)
    if given.only != "predictor":
        told["server"] = measure_server(given.seconds)
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
