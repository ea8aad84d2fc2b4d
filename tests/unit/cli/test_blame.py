"""``kbsync blame``."""

from __future__ import annotations

import pytest

from tests.support.cli import Cli


@pytest.mark.slow
def test_each_fact_of_a_version_names_its_revision_and_statements(cli: Cli) -> None:
    cli.good("sync")
    facts = {f["subject"]: f for f in cli.good("blame", "1", "--json").json}
    assert set(facts) == {"Q142", "Q183"}
    assert facts["Q183"]["statements"] == ["Q183$P6-Q61053"]
    assert facts["Q183"]["verdict"] == "stale"
    assert "Olaf Scholz" in cli.good("blame", "1").out
    assert cli("blame", "4").code == 66
