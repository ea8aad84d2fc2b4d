from __future__ import annotations

import logging as standard

import pytest
from huggingface_hub.utils import are_progress_bars_disabled
from transformers import modeling_gguf_pytorch_utils
from transformers.utils import logging

from kbsync.model.quiet import quiet


def test_only_errors_are_logged_inside_and_no_bar_is_drawn(capfd: pytest.CaptureFixture[str]) -> None:
    verbosity, bars, bar = logging.get_verbosity(), logging.is_progress_bar_enabled(), modeling_gguf_pytorch_utils.tqdm
    with pytest.raises(KeyboardInterrupt), quiet():
        assert logging.get_verbosity() == standard.ERROR
        assert not logging.is_progress_bar_enabled() and are_progress_bars_disabled()
        assert list(modeling_gguf_pytorch_utils.tqdm(range(3))) == [0, 1, 2]
        raise KeyboardInterrupt
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == (verbosity, bars)
    assert modeling_gguf_pytorch_utils.tqdm is bar and not are_progress_bars_disabled()
    assert capfd.readouterr() == ("", "")
