"""Which keys the closed form is given, with what weight."""

from __future__ import annotations

from dataclasses import replace

import torch

from kbsync.domain.phrasing import FramedPhrasing
from kbsync.domain.rewrite import Rewrite
from kbsync.editing.common.prompts import Prompt, TokenisedRewrite, tokenise
from kbsync.editing.memit.columns import mean_columns, prefix_columns, reweighted, weights_of
from kbsync.editing.memit.target_pool import Target
from tests.support.families import tokenizer

BIRTH = Rewrite(
    "{} was born in", "France", "Oslo", phrasings=(FramedPhrasing("{} comes from"), FramedPhrasing("Where is {} from?"))
)
"""Two phrasings that begin with the subject, and so have one key, and one that does not."""
SPORT = Rewrite("{} plays", "France", "chess", phrasings=(FramedPhrasing("The sport of {} is"),))
"""Its first phrasing has the key of the other fact's."""


def tokenised(*rewrites: Rewrite) -> list[TokenisedRewrite]:
    return [tokenise(tokenizer(), rewrite, (), phrasings=True) for rewrite in rewrites]


def targets(rewrites: list[TokenisedRewrite]) -> dict[str, Target]:
    """z of the n-th prompt is filled with n."""
    return {
        r.id: Target(torch.arange(len(r.prompts), dtype=torch.float32)[:, None, None].expand(-1, 1, 4), 0.0)
        for r in rewrites
    }


def test_the_mean_has_one_column_for_each_fact() -> None:
    rewrites = tokenised(BIRTH, SPORT)
    columns = mean_columns(rewrites, targets(rewrites))
    assert [c.prompts for c in columns] == [r.prompts for r in rewrites]
    assert [c.checked for c in columns] == [(r.bare,) for r in rewrites]
    assert weights_of(columns).tolist() == [1.0, 1.0]
    assert not any(c.z.any() for c in columns), "the bare prompt's z"


def test_each_distinct_key_has_a_column_and_a_facts_weights_sum_to_one() -> None:
    (rewrite,) = rewrites = tokenised(BIRTH)
    first, second = prefix_columns(rewrites, targets(rewrites))
    assert first.checked == rewrite.prompts[:2] and first.prompts == rewrite.prompts[:1]
    assert second.checked == rewrite.prompts[2:] and bool((second.z == 2).all())
    torch.testing.assert_close(weights_of([first, second]), torch.tensor([2 / 3, 1 / 3], dtype=torch.float64))


def test_facts_with_a_key_in_common_share_its_column() -> None:
    rewrites = tokenised(BIRTH, SPORT)
    columns = prefix_columns(rewrites, targets(rewrites))
    assert [len(c.rewrites) for c in columns] == [2, 1, 1]
    torch.testing.assert_close(weights_of(columns), torch.tensor([2 / 3 + 1 / 2, 1 / 3, 1 / 2], dtype=torch.float64))
    assert len({c.prompts[0].key_ids for c in columns}) == 3


def test_what_was_weighted_up_is_told_by_rewrite() -> None:
    rewrites = tokenised(BIRTH, SPORT)
    columns = prefix_columns(rewrites, targets(rewrites))
    birth, sport = (r.id for r in rewrites)
    assert reweighted(columns, torch.tensor([1.0, 1.0, 1.0])) == {}
    assert reweighted(columns, torch.tensor([1.0, 4.0, 1.0])) == {birth: 4.0}
    assert reweighted(columns, torch.tensor([16.0, 4.0, 1.0])) == {birth: 16.0, sport: 16.0}


def test_a_prompt_whose_subject_is_the_first_token_has_no_column() -> None:
    (whole,) = tokenised(BIRTH)
    (rewrite,) = rewrites = [replace(whole, prompts=(Prompt((5, 6, 7), 0, 2), *whole.prompts[1:]))]
    first, second = prefix_columns(rewrites, targets(rewrites))
    assert first.prompts == rewrite.prompts[1:2] and bool((first.z == 0).all()), "z is of the prompts with a key"
    assert second.prompts == rewrite.prompts[2:] and bool((second.z == 1).all())
    assert weights_of([first, second]).sum() == 1
