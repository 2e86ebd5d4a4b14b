"""What the server may do, and how much of it."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated

from pydantic import Field

from etude.core.errors import MistakeError, sentence
from etude.core.machine import usable_threads
from etude.core.records import Config

DEFAULT_RATE = 600.0
"""Requests a minute for each key where others can reach the address: the page of a person asks for fewer."""
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]


class ServeConfig(Config):
    """Address, limits and keys of a server."""

    host: str = "127.0.0.1"
    """Address to listen on; any other than a loopback address needs keys."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """Port; 0 takes a free one."""
    threads: Annotated[int, Field(ge=0, le=256)] = 0
    """Threads that decode and answer; 0: one for each core."""
    queue: Annotated[int, Field(ge=1, le=100_000)] = 64
    """Pictures that may wait; beyond that a request is answered 503."""
    max_batch: Annotated[int, Field(ge=1, le=1024)] = 8
    """Pictures that are answered at a time, where so many wait."""
    max_bytes: Annotated[int, Field(ge=1024, le=1 << 40)] = 20 << 20
    """Bytes of a request."""
    max_pixels: Annotated[int, Field(ge=1, le=10**12)] = 40_000_000
    """Pixels of a picture, before it is decoded."""
    max_pictures: Annotated[int, Field(ge=1, le=1000)] = 16
    """Pictures of a request."""
    max_waiting_bytes: Annotated[int, Field(ge=1024)] = 256 << 20
    """Bytes of all requests that are being read or wait; room for two of the largest there is in any case."""
    timeout_s: Seconds = 30.0
    """Seconds that an accepted picture may wait for its answer."""
    body_timeout_s: Seconds = 20.0
    """Seconds that a request's head, and then its body, may take to arrive."""
    write_timeout_s: Seconds = 60.0
    """Seconds that a client may take to read an answer; then the connection is cut."""
    connections: Annotated[int, Field(ge=1, le=100_000)] = 512
    """Connections that may be open; for one more, the one idle longest is closed, else the one that has left an answer
    unread for longest; where all are being answered, the new one. Each takes a file descriptor: where the system allows
    fewer, there are fewer, and the log says so."""
    rate: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)] | None = None
    """Requests a minute that one key, or one address without keys, may make; 0: as many as are answered. By default
    600, and on a loopback address as many as are answered."""
    burst: Annotated[int, Field(ge=1, le=1_000_000)] = 20
    """Requests that may come at once before the rate counts."""
    keys: Path | None = None
    """File of hashed API keys; none: no key is asked for, on a loopback address only."""
    origins: tuple[str, ...] = ()
    """Origins whose pages may call the API (CORS); none by default."""
    stop_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 30.0
    """Seconds that accepted requests have to finish when the server is stopped."""

    @property
    def n_threads(self) -> int:
        """Threads that decode and answer."""
        return self.threads or usable_threads()

    @property
    def per_minute(self) -> float:
        """Requests a minute that one caller may make; 0: as many as are answered."""
        if self.rate is None:
            return 0.0 if self.is_loopback else DEFAULT_RATE
        return self.rate

    @property
    def most_held_bytes(self) -> int:
        """Bytes of all requests together: no request that is allowed by itself is refused for ever."""
        return max(self.max_waiting_bytes, 2 * self.max_bytes)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the address."""
        return is_loopback(self.host)

    def check(self) -> None:
        """Refuse what would leave the API open to others.

        Raises:
            MistakeError: if there are no keys and the address is not a loopback address.
        """
        if self.keys is None and not self.is_loopback:
            rule = "127.0.0.1, ::1 or localhost where no keys are given"
            remedy = "Make a key with `etude serve --new-key NAME --keys keys.txt`, and give --keys keys.txt."
            raise MistakeError(sentence("serve", "--host", rule, self.host, remedy))
        if "*" in self.origins:
            raise MistakeError(sentence("serve", "--origin", "an origin such as https://example.org", "*"))


def is_loopback(host: str) -> bool:
    """Whether a name or an address is one of this machine's own, which nothing elsewhere can have.

    >>> is_loopback("LOCALHOST"), is_loopback("127.0.0.2"), is_loopback("127.0.0.1.example.org")
    (True, True, False)
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
