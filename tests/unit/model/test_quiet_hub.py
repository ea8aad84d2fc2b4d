from __future__ import annotations

import warnings

import pytest
from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from kbsync.model.quiet_hub import quiet_hub


@pytest.mark.parametrize("wanted", [True, False])
def test_bars_and_warnings_are_off_inside_and_as_before_afterwards(wanted: bool) -> None:
    try:
        (enable_progress_bars if wanted else disable_progress_bars)()
        with warnings.catch_warnings(record=True) as heard, pytest.raises(KeyboardInterrupt), quiet_hub():
            warnings.warn("a symlink can't be made", stacklevel=1)
            assert are_progress_bars_disabled()
            raise KeyboardInterrupt
        assert are_progress_bars_disabled() is not wanted
        assert heard == []
    finally:
        enable_progress_bars()
