"""``kbsync rebuild``."""

from __future__ import annotations

import pytest

from tests.support.site import Site


@pytest.mark.slow
def test_the_same_version_comes_out_again(built: Site) -> None:
    result = built.good("rebuild", "1", "--json").json
    assert result["reproduced"] is True
    assert result["expected"] == result["got"] == built.version_hash(1)
    assert "would be stored again" in built.good("rebuild", "1", "--repair", "--dry-run").out
    assert built("rebuild", "5").code == 66
