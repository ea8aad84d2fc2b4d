"""How many facts a recipe holds: the rule on figures by hand, and a run on a tiny model."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kbsync.config.gate import GateSettings
from kbsync.domain.errors import DataError, Stopped
from kbsync.domain.gate import Action, Threshold
from kbsync.operations.evidence import write_evidence
from kbsync.research.bench import Data, Extent
from kbsync.research.capacity import demands, judge, perplexity_growth, read_limit, run_capacity
from kbsync.research.cases import Part
from kbsync.research.plots import plot_capacity
from tests.support.bench_records import published, write
from tests.support.paths import ROOT
from tests.support.research_bench import NoiseEditor, Steps, bench, noise

POLICY = GateSettings().policy


def cell(algorithm: str, edits: int, perplexity: float = 20.0, **shares: float | tuple[float, float, float]) -> Any:
    """A cell whose shares are sure to a hundredth where no interval is given."""
    given = {"efficacy": 0.99, "generalization": 0.8, "specificity": 0.7, "score": 0.8} | shares
    estimates = {}
    for name, share in given.items():
        value, low, high = share if isinstance(share, tuple) else (share, share - 0.01, share + 0.01)
        name = name if name == "score" else f"{name}_success"
        estimates[name] = {"value": value, "low": low, "high": high, "cases": 100}
    texts = [(perplexity, 100), (perplexity, 50)]
    return {"algorithm": algorithm, "edits": edits, "estimates": estimates, "perplexity": perplexity, "texts": texts}


def limit(*edited: Any) -> int:
    base = [cell("none", c["edits"]) for c in edited]
    return read_limit(judge({"results": [*base, *edited]}, "memit", demands(POLICY)))


def test_the_demands_are_the_gate_s_refusing_bounds() -> None:
    found = {t.metric: (t.at_least, t.max_drop, t.max_growth) for t in demands(POLICY)}
    assert found == {
        "efficacy_success": (0.9, None, None),
        "generalization_success": (0.5, None, None),
        "specificity_success": (None, pytest.approx(0.1), None),
        "perplexity": (None, None, 0.05),
    }
    assert demands([Threshold(metric="efficacy", at_least=0.9, action=Action.WARN)]) == []


def test_the_limit_is_the_largest_size_that_holds() -> None:
    assert limit(cell("memit", 10), cell("memit", 100), cell("memit", 1000, efficacy=0.8)) == 100
    assert limit(cell("memit", 10), cell("memit", 100)) == 100
    assert limit(cell("memit", 10), cell("memit", 100, generalization=0.4)) == 10
    assert limit(cell("memit", 10), cell("memit", 100, specificity=0.55)) == 10, "fifteen points below the base"
    assert limit(cell("memit", 10), cell("memit", 100, specificity=0.65)) == 100, "five points below the base"
    assert limit(cell("memit", 10), cell("memit", 100, perplexity=21.2)) == 10
    assert limit(cell("memit", 10), cell("memit", 100, perplexity=20.8)) == 100
    assert limit(cell("memit", 10, efficacy=0.5)) == 0


def test_a_size_that_fails_by_chance_ends_nothing_and_one_that_fails_surely_does() -> None:
    unlucky = cell("memit", 10, efficacy=(0.8, 0.55, 0.95))
    assert limit(unlucky, cell("memit", 100)) == 100
    assert limit(unlucky) == 0
    assert limit(cell("memit", 10, efficacy=(0.8, 0.7, 0.89)), cell("memit", 100)) == 0


def test_of_ten_cases_two_may_be_half_and_of_a_hundred_twenty_are_not() -> None:
    """The bootstrap would be sure of both; Wilson's interval of two in ten reaches to 0.51."""
    few = cell("memit", 10, generalization=(0.2, 0.0, 0.4))
    few["estimates"]["generalization_success"]["cases"] = 10
    assert limit(few, cell("memit", 100)) == 100
    assert limit(cell("memit", 10, generalization=(0.2, 0.12, 0.28)), cell("memit", 100)) == 0


def test_the_perplexity_grows_by_its_tokens_and_is_as_sure_as_its_texts_agree() -> None:
    agreed = perplexity_growth([(20.0, 100), (30.0, 50)], [(22.0, 100), (33.0, 50)])
    assert agreed == pytest.approx((0.1, 0.1, 0.1))
    value, low, high = perplexity_growth([(20.0, 100), (20.0, 100)], [(20.0, 100), (24.2, 100)])
    assert (value, low, high) == pytest.approx((0.1, 0.0, 0.21))
    assert perplexity_growth([(20.0, 9)], [(math.exp(699), 9)])[0] > 1e100


@pytest.fixture
def counterfact(tmp_path: Path) -> Data:
    records = [published(n, f"Town {n}", new="Rome" if n % 2 else "Oslo") for n in range(12)]
    return Data(path=write(tmp_path / "cf.json", records), part=Part.ALL)


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been_killed(tmp_path: Path, counterfact: Data) -> None:
    def run(place: Path, steps: Steps, editor: NoiseEditor) -> dict[str, Any]:
        extent = Extent(cases=4, answer_tokens=2, chunk=2)
        return run_capacity(bench(place, steps), counterfact, noise(editor)[0], POLICY, sizes=[8, 3, 12], extent=extent)

    whole = run(tmp_path / "whole", Steps(), NoiseEditor())
    editor, tries = NoiseEditor(), 0
    while True:
        tries += 1
        try:
            again = run(tmp_path / "killed", Steps(stop_after=2), editor)
        except Stopped:
            continue
        break
    assert tries > 2 and editor.calls == [3, 8, 12]
    assert (again["results"], again["capacity"], again["figures"]) == (
        whole["results"],
        whole["capacity"],
        whole["figures"],
    )
    told = whole["capacity"]
    assert [size["edits"] for size in told["sizes"]] == [3, 8, 12]
    assert [size["holds"] for size in told["sizes"]][1:] == [False, False], "noise in the weights is no edit"
    assert any(r.startswith("perplexity") for r in told["sizes"][0]["reasons"])
    assert told["limit"] == (3 if told["sizes"][0]["holds"] else 0)

    write_evidence(tmp_path / "capacity.json", whole)
    plot_capacity(tmp_path / "capacity.json", tmp_path / "capacity.png")
    drawn = (tmp_path / "capacity.png").read_bytes()
    assert drawn.startswith(b"\x89PNG\r\n")
    document = json.loads((tmp_path / "capacity.json").read_text())
    document["capacity"]["limit"] = 8
    write_evidence(tmp_path / "capacity.json", document)
    plot_capacity(tmp_path / "capacity.json", tmp_path / "capacity.png")
    assert (tmp_path / "capacity.png").read_bytes() != drawn, "the limit is drawn"


def test_a_plot_needs_a_capacity_run(tmp_path: Path) -> None:
    for text in ("{", "[]", '{"results": []}', '{"capacity": {"sizes": []}}'):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(DataError):
            plot_capacity(tmp_path / "x.json", tmp_path / "x.png")
    assert not (tmp_path / "x.png").exists()


def test_every_shipped_recipe_has_the_limit_that_was_measured() -> None:
    """A recipe's ``capacity`` is read off a committed run of the very recipe, never typed by heart.

    A recipe that names no dtype is measured in the one that the model was loaded in.
    """
    from kbsync.config import load_recipe

    root = ROOT
    measured: dict[str, int] = {}
    for path in sorted((root / "docs" / "results").glob("capacity-*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        (recipe,) = document["recipes"].values()
        measured[recipe["fingerprint"]] = document["capacity"]["limit"]
    for path in sorted((root / "config" / "recipes").glob("*.toml")):
        recipe = load_recipe(path.stem, path.parent)
        runs = [replace(recipe, dtype=dtype).fingerprint for dtype in ("float32", "bfloat16")]
        assert recipe.capacity == next((measured[run] for run in runs if run in measured), 0), path.name
