"""How families end: in a recipe, in a sentence, and nowhere else."""

from __future__ import annotations

from tests.evidence.families.measure import measure_families


def test_what_can_t_be_edited_is_refused_in_one_sentence() -> None:
    document = measure_families(["mamba"])
    assert {f["name"]: f["value"] for f in document["figures"]} == {
        "families.recipe": 0,
        "families.refused": 1,
        "families.other": 0,
    }
    for end in document["families"].values():
        assert "the base knows" not in end["said"], "it is refused before anything is asked"
