"""The null space of ordinary text's keys holds its share of their squared length, and no more."""

from __future__ import annotations

import pytest
import torch

from kbsync.domain.errors import EditError
from kbsync.editing.baselines.null_space import null_space


@pytest.mark.parametrize("share", [0.001, 0.05, 0.5])
def test_the_null_space_holds_its_share_of_the_trace_and_no_more(share: float) -> None:
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(400, 24, dtype=torch.float64, generator=draw) * torch.logspace(-3, 1, 24)
    moment = x.T @ x / 400
    basis = null_space(moment, share)
    torch.testing.assert_close(basis.T @ basis, torch.eye(basis.shape[1], dtype=torch.float64))
    assert float((basis.T @ moment @ basis).trace()) <= share * float(moment.trace()) * (1 + 1e-9)
    values = torch.linalg.eigvalsh(moment)
    assert float(values[: basis.shape[1] + 1].sum()) > share * float(moment.trace())


def test_a_null_space_of_nothing_is_refused() -> None:
    with pytest.raises(EditError, match="No direction"):
        null_space(torch.eye(5), 0.1)


def test_what_is_no_second_moment_is_refused() -> None:
    with pytest.raises(EditError, match="covariance"):
        null_space(-torch.eye(5), 0.5)
