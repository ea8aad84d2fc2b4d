"""Checks of the source, through ``kbsync doctor``."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.support.doctor import check


@pytest.mark.parametrize(
    ("ahead", "says"), [(timedelta(hours=1), "ahead of this machine's clock"), (timedelta(days=-3), "lags 3 days")]
)
def test_clocks_that_differ_are_a_warning(cli: Any, ahead: timedelta, says: str) -> None:
    cli.world.source.now = cli.world.clock.time + ahead
    found = check(cli("doctor", "--json"), "source")
    assert found["level"] == "warning"
    assert says in found["detail"] and found["next_step"]


def test_a_relation_without_statements_is_a_warning(cli: Any) -> None:
    cli.world.set_statements("Q142")
    cli.world.set_statements("Q183")
    found = check(cli("doctor", "--json"), "relations")
    assert found["level"] == "warning" and "head-of-government (P6)" in found["detail"]
