from __future__ import annotations

import pytest

from kbsync.system.messages import first_line


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("one\ntwo"), "one."),
        (ValueError("  one.\n"), "one."),
        (OSError(2, "No such file"), "[Errno 2] No such file."),
        (ValueError(), "ValueError."),
    ],
)
def test_an_error_is_one_sentence(error: Exception, said: str) -> None:
    assert first_line(error) == said
