"""What work costs, and the least time for it."""

from __future__ import annotations

import pytest

from kbsync.operations.meter import MachineSpeed, Meter


def test_a_difference_and_a_sum_take_every_reading() -> None:
    before, after = Meter(1.0, 2.0, 30.0, 400.0), Meter(1.5, 2.75, 35.0, 1400.0)
    spent = after.since(before)
    assert spent == Meter(0.5, 0.75, 5.0, 1000.0)
    spent.add(Meter(1.0, 1.0, 1.0, 1.0))
    assert spent == Meter(1.5, 1.75, 6.0, 1001.0)
    assert before == Meter(1.0, 2.0, 30.0, 400.0), "a reading stays as it was"


@pytest.mark.parametrize(
    ("spent", "seconds"), [(Meter(flops=20.0, bytes=50.0), 2.0), (Meter(flops=20.0, bytes=700.0), 7.0)]
)
def test_the_limit_is_the_longer_of_both_times(spent: Meter, seconds: float) -> None:
    assert MachineSpeed(flops=10.0, bytes=100.0).limit(spent) == seconds
