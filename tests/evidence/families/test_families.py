"""How families end: in a recipe, in a sentence, and nowhere else."""

from __future__ import annotations

from tests.evidence.families.measure import measure_families


def test_a_plain_decoder_and_one_that_can_t_be_edited() -> None:
    document = measure_families(["mamba", "granite"])
    assert {f["name"]: f["value"] for f in document["figures"]} == {
        "families.recipe": 0,
        "families.refused": 2,
        "families.other": 0,
    }
    assert "." in document["families"]["mamba"]["said"]
