"""Server-sent events from the body of one connection, read in a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, suppress
from itertools import takewhile

import httpx2

BEAT = 1.0
"""Longest time in seconds until the caller gets control, even without an event."""
_LONGEST = 4 * 2**20
"""Largest event in bytes: a thousand times the usual size."""
MOST_HELD = 16 * 2**20
"""Characters of events that are read ahead of the caller, beside the last one."""
MEDIA_TYPE = "text/event-stream"

Frame = httpx2.ServerSentEvent
"""One event: its ``data`` is JSON, and its ``id`` is sent as ``Last-Event-ID`` to resume after it."""


class Broken(Exception):
    """The connection, or what it sent, is not reliable. The reason is for the log."""


def frames(pieces: Iterable[bytes]) -> Iterator[Frame]:
    """Server-sent events from a body in pieces of any size. Raises ``Broken`` for an event that is too long."""
    body = httpx2.Response(200, headers={"Content-Type": MEDIA_TYPE}, content=pieces, request=httpx2.Request("GET", ""))
    try:
        yield from (frame for frame in httpx2.EventSource(body, max_event_size=_LONGEST) if frame.data)
    except httpx2.SSEError as error:
        raise Broken("an event without an end") from error


class FrameReader:
    """Reads one connection in a thread of its own.

    A thread is needed because the caller needs control every second, and a socket can't be read any more after a
    timeout. Iterating yields frames, and None after each ``BEAT`` without one. It raises ``Broken``, and ends when the
    connection ends.
    """

    def __init__(self, pieces: Generator[bytes]) -> None:
        self._pieces = pieces
        self._closed = threading.Event()
        # Bounded, in frames and in bytes, so that a busy caller slows down the server instead of filling the memory.
        self._frames: queue.Queue[Frame | Broken | None] = queue.Queue(10_000)
        self._read_bytes = self._taken_bytes = 0
        threading.Thread(target=self._read, name="event-stream", daemon=True).start()

    def __iter__(self) -> Iterator[Frame | None]:
        while True:
            try:
                frame = self._frames.get(timeout=BEAT)
            except queue.Empty:
                yield None
                continue
            if frame is None:
                return
            if isinstance(frame, Broken):
                raise frame
            self._taken_bytes += len(frame.data)
            yield frame

    def close(self) -> None:
        """Let the thread end at the next piece that arrives, or at the timeout."""
        self._closed.set()

    def _read(self) -> None:
        try:
            with closing(self._pieces) as pieces:
                for frame in frames(takewhile(lambda _: not self._closed.is_set(), pieces)):
                    self._put(frame)
            self._put(None)
        except Broken as broken:
            self._put(broken)

    def _put(self, frame: Frame | Broken | None) -> None:
        while not self._closed.is_set():
            if self._read_bytes - self._taken_bytes > MOST_HELD:
                self._closed.wait(BEAT / 10)
                continue
            with suppress(queue.Full):
                self._frames.put(frame, timeout=BEAT)
                self._read_bytes += len(frame.data) if isinstance(frame, Frame) else 0
                return
