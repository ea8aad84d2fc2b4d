from __future__ import annotations

import pytest

from kbsync.domain.errors import ModelError
from kbsync.model.checks import require_complete


def test_a_model_with_all_its_parameters_passes() -> None:
    require_complete({"missing_keys": [], "unexpected_keys": ["extra"]}, "here")


def test_missing_parameters_are_counted_and_the_first_is_named() -> None:
    with pytest.raises(ModelError, match=r"here lacks 2 of the model's parameters, the first is a\.weight"):
        require_complete({"missing_keys": {"b.weight", "a.weight"}}, "here")
