"""``[gate]`` and ``gate.toml``: which policy holds."""

from __future__ import annotations

from kbsync.config import load, shipped_config
from kbsync.domain.gate import Action, Metric, Threshold, decide
from tests.support.config_samples import MAIN, Writer, problems


def test_default_gate_is_the_domains_policy(write: Writer) -> None:
    policy = load(write()).gate.policy
    assert policy[0] == Threshold(metric="efficacy", at_least=0.9, min_samples=1)
    refusing = [t for t in policy if t.action is Action.REFUSE]
    assert {t.metric: (t.at_least, t.max_growth) for t in refusing} == {
        "efficacy": (0.9, None),
        "generalization": (0.6, None),
        "known_kept": (0.7, None),
        "specificity": (0.9, None),
        "perplexity": (None, 0.05),
        "retention": (0.9, None),
        "norm_growth": (None, None),
    }
    assert not decide([Metric(name="efficacy", value=1.0, base=0.0, samples=10)], policy).passed


def test_the_shipped_policy_file_says_what_holds_without_it(write: Writer) -> None:
    path = write()
    without = load(path).gate.policy
    (path.parent / "gate.toml").write_text(shipped_config()["gate.toml"])
    assert load(path).gate.policy == without


def test_the_policy_file_is_a_layer_beneath_the_main_file_and_its_mistakes_name_it(write: Writer) -> None:
    path = write(MAIN + "[gate]\nneighbours = 7\n")
    policy = path.parent / "gate.toml"
    policy.write_text("neighbours = 3\ntexts = 4\n[[thresholds]]\nmetric = 'efficacy'\nat_least = 0.8\n")
    gate = load(path).gate
    assert (gate.neighbours, gate.texts) == (7, 4)
    assert gate.policy == (Threshold(metric="efficacy", at_least=0.8),)
    policy.write_text("[[thresholds]]\nmetric = 'efficacy'\nat_least = 0.8\nat_mots = 1\n")
    assert problems(path)[0].startswith(
        f"{policy}: gate.thresholds[0].at_mots: is not a key here; did you mean 'at_most'?"
    )
