"""The parts of the server: keys, rates, the pool, the limits of the address."""

from __future__ import annotations

import json
import math
import re
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from tests.unit.runtime.drawing import make_contents, with_record, write_zip

from etude.cli.serving import make_config
from etude.core.bundle_record import Certainty
from etude.core.errors import BundleError, DataError, MistakeError
from etude.runtime.serving.config import ServeConfig
from etude.runtime.serving.guard import RefusedError, error_form, unread
from etude.runtime.serving.keys import Keys, add_key
from etude.runtime.serving.pool import BusyError, Job, LateError, Pool
from etude.runtime.serving.rate import RateLimit
from etude.runtime.serving.shelf import Shelf


def test_a_key_is_shown_once_and_only_its_hash_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "keys.txt"
    first, second = add_key(path, "volunteer"), add_key(path, "camera-2")
    text = path.read_text()
    assert first not in text
    assert second not in text
    assert path.stat().st_mode & 0o007 == 0
    keys = Keys.read(path)
    assert (keys.name_of(first), keys.name_of(second)) == ("volunteer", "camera-2")
    for wrong in ("", first[:-1], first + "x", first.upper(), "volunteer", "\ud800"):
        assert keys.name_of(wrong) is None
    with pytest.raises(MistakeError, match="does not hold yet"):
        add_key(path, "volunteer")
    with pytest.raises(MistakeError, match="a name of letters"):
        add_key(path, "a b")


@pytest.mark.parametrize("text", ["", "# nothing\n", "name\n", "name zz\n", "name " + "a" * 63 + "\n"])
def test_a_file_without_keys_is_a_mistake_and_lets_nobody_in(tmp_path: Path, text: str) -> None:
    (tmp_path / "keys.txt").write_text(text)
    with pytest.raises(MistakeError, match=r"keys\.txt"):
        Keys.read(tmp_path / "keys.txt")
    with pytest.raises(MistakeError, match="cannot be read"):
        Keys.read(tmp_path / "absent.txt")


def test_keys_are_added_to_a_file_that_holds_none_yet_or_notes_of_people(tmp_path: Path) -> None:
    path = tmp_path / "keys.txt"
    path.write_text("# of the shelter, asked for by Anne")
    key = add_key(path, "volunteer")
    assert path.read_text().startswith("# of the shelter, asked for by Anne\nvolunteer ")
    assert Keys.read(path).name_of(key) == "volunteer"
    path.write_text("")
    assert Keys.read(path, may_be_empty=True).name_of(key) is None


def test_a_name_that_a_file_of_keys_has_twice_is_a_mistake(tmp_path: Path) -> None:
    """Only one of the two keys would count, and nobody could say which."""
    path = tmp_path / "keys.txt"
    path.write_text(f"anne {'a' * 64}\nanne {'b' * 64}\n")
    with pytest.raises(MistakeError, match="line 2 must be a name that no line before it has"):
        Keys.read(path)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.org", "127.0.0.1.example.org", ""])
def test_an_open_address_needs_keys(host: str) -> None:
    with pytest.raises(MistakeError, match="--new-key"):
        ServeConfig(host=host).check()
    ServeConfig(host=host, keys=Path("keys.txt")).check()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", "LOCALHOST"])
def test_a_loopback_address_needs_none(host: str) -> None:
    ServeConfig(host=host).check()
    with pytest.raises(MistakeError, match="--origin"):
        ServeConfig(host=host, origins=("*",)).check()


@pytest.mark.parametrize("name", ["spool_max_size", "max_file_size"])
def test_nothing_of_a_form_goes_to_the_disk_whatever_starlette_calls_its_limit(monkeypatch, name: str) -> None:
    import asyncio

    from starlette.formparsers import MultiPartParser
    from starlette.requests import Request

    from etude.runtime.serving.bodies import read_pictures

    seen: list[int] = []

    async def parse(parser: MultiPartParser) -> object:
        seen.append(getattr(parser, name))
        raise ValueError

    monkeypatch.setattr(MultiPartParser, "parse", parse)
    scope = {"type": "http", "headers": [(b"content-type", b"multipart/form-data; boundary=x")]}
    with pytest.raises(RefusedError):
        asyncio.run(read_pictures(Request(scope), 3, 4321))
    assert seen == [4321]


OPTIONS = {"max_mb": 20.0, "max_megapixels": 40.0}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"timeout_s": 0.0}, "--timeout must be greater than 0. Got 0.0."),
        ({"timeout_s": math.nan}, "--timeout must be a finite number. Got nan."),
        ({"timeout_s": math.inf}, "--timeout must be a finite number. Got inf."),
        ({"body_timeout_s": -1.0}, "--body-timeout must be greater than 0."),
        ({"queue": 1_000_000}, "--queue must be less than or equal to 100000. Got 1000000."),
        ({"threads": 300}, "--threads must be less than or equal to 256. Got 300."),
        ({"rate": math.nan}, "--rate must be a finite number. Got nan."),
        ({"connections": 0}, "--connections must be greater than or equal to 1. Got 0."),
        ({"burst": 0}, "--burst must be greater than or equal to 1. Got 0."),
        ({"max_megapixels": math.nan}, "--max-megapixels must be a number. Got nan."),
        ({"max_megapixels": 0.0}, "--max-megapixels must be greater than or equal to 1 pixels. Got 0.0."),
        ({"max_mb": -5.0}, "--max-mb must be greater than or equal to 1024 bytes. Got -5.0."),
        ({"max_mb": math.inf}, "--max-mb must be a number. Got inf."),
    ],
)
def test_an_option_that_does_not_hold_is_told_by_its_name(options: dict[str, float], told: str) -> None:
    with pytest.raises(MistakeError, match=re.escape(f"serve: {told}")):
        make_config(**{**OPTIONS, **options})
    assert make_config(**OPTIONS).max_bytes == 20_000_000


def test_a_rate_is_a_rate_for_each_caller() -> None:
    rate = RateLimit(per_minute=60, burst=3)
    assert [rate.wait_s("a", 0.0) for _ in range(5)] == [0, 0, 0, 1, 1]
    assert rate.wait_s("b", 0.0) == 0
    assert [rate.wait_s("a", 2.0) for _ in range(3)] == [0, 0, 1]
    slow = RateLimit(per_minute=1, burst=1)
    assert (slow.wait_s("a", 0.0), slow.wait_s("a", 1.0)) == (0, 59)
    assert [RateLimit(0, 1).wait_s("a", 0.0) for _ in range(9)] == [0] * 9


@pytest.mark.parametrize(
    ("host", "given", "rate"),
    [
        ("127.0.0.1", None, 0), ("localhost", None, 0), ("0.0.0.0", None, 600), ("::", None, 600),
        ("0.0.0.0", 0.0, 0), ("0.0.0.0", 120.0, 120), ("127.0.0.1", 60.0, 60),
    ],
)  # fmt: skip
def test_an_open_address_has_a_rate_unless_it_is_switched_off(host: str, given: float | None, rate: float) -> None:
    assert make_config(**OPTIONS, host=host, rate=given).per_minute == rate


def test_an_error_tells_cause_and_facts_where_there_are_some() -> None:
    assert error_form(RefusedError(404, "route", "Not Found")) == {"error": {"code": "route", "message": "Not Found"}}
    facts = {"width": 9000, "height": 8000, "most": 10}
    refusal = unread(DataError("too large", cause="pixels", facts=facts))
    told = {"code": "picture", "message": "too large", "cause": "pixels", "facts": facts}
    assert (refusal.status, refusal.retry_s, error_form(refusal)) == (422, None, {"error": told})


def test_a_picture_for_which_memory_is_short_may_be_asked_about_again() -> None:
    refusal = unread(DataError("no memory", cause="memory"))
    assert (refusal.status, refusal.code, refusal.cause, refusal.retry_s) == (503, "picture", "memory", 1)


def test_callers_are_forgotten_but_not_their_limits() -> None:
    rate = RateLimit(per_minute=60, burst=1)
    for number in range(30_000):
        rate.wait_s(f"caller {number}", 0.0)
    assert len(rate._buckets) <= 10_000
    assert rate.wait_s("caller 29999", 0.0) == 1


class Fake:
    """A model that answers the number that it is given, once it may."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.sizes: list[int] = []

    def at_once(self, most: int) -> int:
        return most

    def read(self, content: bytes) -> tuple[np.ndarray, None]:
        if content == b"bad":
            raise DataError("bad")
        return np.array([float(content)]), None

    def answer(self, pictures: np.ndarray, seen: list[None]) -> list[float]:
        self.may.wait(10)
        self.sizes.append(len(pictures))
        if (pictures < 0).any():
            raise RuntimeError("the model failed")
        return pictures[:, 0].tolist()


def job(model: Fake, content: bytes, seconds: float = 10) -> Job:
    return Job(model, content, lambda answer: answer, time.monotonic() + seconds)  # type: ignore[arg-type]


def test_batches_form_of_what_waits_and_every_answer_is_its_own() -> None:
    model, pool = Fake(), Pool(threads=1, capacity=100, max_batch=8)
    jobs = [job(model, str(number).encode()) for number in range(20)]
    pool.submit(jobs[:1])
    while len(pool):
        time.sleep(0.001)
    pool.submit(jobs[1:])
    model.may.set()
    assert [entry.future.result(10) for entry in jobs] == [float(number) for number in range(20)]
    assert model.sizes == [1, 8, 8, 3]
    pool.close()


def test_threads_share_what_waits() -> None:
    model, pool = Fake(), Pool(threads=2, capacity=100, max_batch=8)
    first = [job(model, b"1"), job(model, b"2")]
    pool.submit(first)
    while len(pool):
        time.sleep(0.001)
    jobs = [job(model, b"3") for _ in range(6)]
    pool.submit(jobs)
    model.may.set()
    for entry in (*first, *jobs):
        entry.future.result(10)
    assert max(model.sizes) <= 3
    pool.close()


def test_a_full_queue_takes_all_or_nothing() -> None:
    model, pool = Fake(), Pool(threads=1, capacity=4, max_batch=1)
    taken = [job(model, b"0")]
    pool.submit(taken)
    while len(pool):
        time.sleep(0.001)
    more = [job(model, b"1") for _ in range(3)]
    pool.submit(more)
    with pytest.raises(BusyError):
        pool.submit([job(model, b"2"), job(model, b"3")])
    assert len(pool) == 3
    last = job(model, b"4")
    pool.submit([last])
    model.may.set()
    assert [entry.future.result(10) for entry in (*taken, *more, last)] == [0, 1, 1, 1, 4]
    pool.close()


def test_a_bad_picture_fails_alone_and_a_failing_model_fails_its_batch_only() -> None:
    model, pool = Fake(), Pool(threads=1, capacity=100, max_batch=8)
    model.may.set()
    jobs = [job(model, content) for content in (b"1", b"bad", b"2")]
    pool.submit(jobs)
    assert (jobs[0].future.result(10), jobs[2].future.result(10)) == (1, 2)
    assert isinstance(jobs[1].future.exception(10), DataError)
    broken = job(model, b"-1")
    pool.submit([broken])
    assert isinstance(broken.future.exception(10), RuntimeError)
    after = job(model, b"3")
    pool.submit([after])
    assert after.future.result(10) == 3
    pool.close()


def test_what_waited_too_long_and_what_nobody_wants_is_not_answered() -> None:
    model, pool = Fake(), Pool(threads=1, capacity=100, max_batch=1)
    first, late, unwanted = job(model, b"1"), job(model, b"2", seconds=0.0), job(model, b"3")
    pool.submit([first, late, unwanted])
    unwanted.future.cancel()
    time.sleep(0.01)
    model.may.set()
    assert first.future.result(10) == 1
    assert isinstance(late.future.exception(10), LateError)
    pool.close()
    assert model.sizes == [1]


def test_closing_answers_what_was_taken_and_takes_no_more() -> None:
    model, pool = Fake(), Pool(threads=2, capacity=100, max_batch=2)
    jobs = [job(model, b"1") for _ in range(9)]
    pool.submit(jobs)
    threading.Timer(0.05, model.may.set).start()
    pool.close()
    assert all(entry.future.result(0) == 1 for entry in jobs)
    with pytest.raises(BusyError):
        pool.submit([job(model, b"1")])


def test_a_bundle_without_its_card_is_not_offered(tmp_path: Path) -> None:
    contents = make_contents()
    del contents["MODEL_CARD.md"]
    files = {name: entry for name, entry in json.loads(contents["bundle.json"])["files"].items() if name in contents}
    with pytest.raises(BundleError, match=r"MODEL_CARD\.md"):
        Shelf([write_zip(tmp_path / "c.bundle", with_record(contents, files=files))], max_pixels=1000)


def test_reloads_that_come_meanwhile_are_one_more_after_the_present_one() -> None:
    """Two at a time could end in the wrong order, and leave the older bundles and a revoked key."""
    import asyncio
    from types import SimpleNamespace

    from etude.runtime.serving.metrics import Metrics
    from etude.runtime.serving.server import _Server

    running, most, done = [], [], []

    def reload() -> list[str]:
        running.append(1)
        most.append(len(running))
        time.sleep(0.05)
        running.pop()
        done.append(1)
        return []

    async def ask() -> None:
        server = _Server(lambda *_: None, ServeConfig(), lambda: None)
        service = SimpleNamespace(reload=reload, metrics=Metrics())
        for _ in range(3):
            server._reload(service)
            await asyncio.sleep(0.01)
        await server._reloading

    asyncio.run(ask())
    assert most == [1, 1]
    assert len(done) == 2


def test_a_reload_that_fails_in_whatever_way_is_counted_and_told(caplog) -> None:
    import asyncio
    import logging
    from types import SimpleNamespace

    from etude.runtime.serving.metrics import Metrics
    from etude.runtime.serving.server import _Server

    failures = [KeyError("a fault of ours"), BundleError("a bundle that is broken")]

    def reload() -> list[str]:
        raise failures.pop(0)

    async def ask(service: SimpleNamespace) -> None:
        server = _Server(lambda *_: None, ServeConfig(), lambda: None)
        for _ in range(2):
            server._reload(service)
            await server._reloading

    service = SimpleNamespace(reload=reload, metrics=Metrics())
    with caplog.at_level(logging.ERROR, logger="etude.serve"):
        asyncio.run(ask(service))
    assert 'etude_reloads_total{outcome="failed"} 2.0' in service.metrics.text().decode()
    ours, bundles = caplog.records
    assert (ours.message, ours.told["reason"], ours.exc_info[0]) == ("reload failed", "'a fault of ours'", KeyError)
    assert (bundles.told["reason"], bundles.exc_info) == ("a bundle that is broken", None)


def test_the_largest_request_has_room_beside_another() -> None:
    assert ServeConfig().most_held_bytes == 256 << 20
    assert ServeConfig(max_bytes=500 << 20).most_held_bytes == 1000 << 20


def test_a_reload_notices_a_bundle_of_the_same_graph_with_another_threshold(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "c.bundle", make_contents())
    shelf = Shelf([path], max_pixels=1000)
    assert shelf.reload() == []
    write_zip(path, make_contents(certainty=Certainty(unsure_below=0.99, sure_share=0.1, sure_accuracy=None)))
    assert shelf.reload() == ["colours"]
