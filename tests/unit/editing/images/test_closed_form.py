"""The closed form on plain matrices."""

from __future__ import annotations

import pytest
import torch

from kbsync.domain.errors import EditError
from kbsync.editing.images.closed_form import change, directions


def test_the_change_is_that_of_the_whole_solution() -> None:
    draw = torch.Generator().manual_seed(0)
    weight, concepts, guides, kept = (
        torch.randn(*shape, dtype=torch.float64, generator=draw) for shape in ((5, 7), (7, 2), (7, 2), (7, 3))
    )
    left, right = change(
        weight, concepts, guides, directions(concepts, kept, identity_weight=0.5, preserved_weight=2.0)
    )
    moment = concepts @ concepts.T + 2 * kept @ kept.T + 0.5 * torch.eye(7, dtype=torch.float64)
    numerator = weight @ guides @ concepts.T + 2 * weight @ kept @ kept.T + 0.5 * weight
    assert torch.allclose(weight + left @ right, numerator @ torch.linalg.inv(moment), atol=1e-10)


def test_states_that_are_not_finite_are_refused() -> None:
    with pytest.raises(EditError, match="non-finite"):
        directions(torch.full((3, 1), torch.nan), torch.zeros(3, 0), identity_weight=0.5, preserved_weight=1.0)
