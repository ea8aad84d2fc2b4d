"""Names of forms in which a version is served."""

from __future__ import annotations

import pytest

from kbsync.domain.errors import DataError
from kbsync.domain.served_form import ROUNDED_FORMS, ServedForm


def test_a_name_says_what_is_rounded() -> None:
    assert ServedForm.named("q4_0") == ServedForm("q4_0", adapter=False)
    assert ServedForm.named("bfloat16+lora") == ServedForm("bfloat16", adapter=True)
    assert len({ServedForm.named(name) for name in ROUNDED_FORMS}) == len(ROUNDED_FORMS)


@pytest.mark.parametrize("name", ["", "q4_k_m", "q4_k_m+lora", "+lora", "Q4_0", "q4_0+lora+lora", "float32"])
def test_another_name_is_refused_with_those_that_exist(name: str) -> None:
    with pytest.raises(DataError, match="no form whose rounding") as caught:
        ServedForm.named(name)
    assert "q4_0" in caught.value.next_step
