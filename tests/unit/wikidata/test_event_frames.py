"""What is read ahead of a busy caller is bounded, however large the events are."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing

import pytest

from kbsync.wikidata import event_frames
from kbsync.wikidata.event_frames import FrameReader

SIZE = 100_000


@pytest.mark.slow
@pytest.mark.hardening
def test_large_events_wait_in_the_line_and_not_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_frames, "MOST_HELD", 5 * SIZE)
    sent = 0

    def pieces() -> Generator[bytes]:
        nonlocal sent
        for number in range(60):
            sent += 1
            yield b"data: " + str(number).encode().ljust(SIZE, b"x") + b"\n\n"

    with closing(FrameReader(pieces())) as reader:
        frames = iter(reader)
        first = next(frames)
        time.sleep(0.3)
        assert first is not None and first.data.startswith("0x")
        assert 5 < sent < 10
        rest = [frame.data.partition("x")[0] for frame in frames if frame is not None]
    assert rest == [str(number) for number in range(1, 60)]
