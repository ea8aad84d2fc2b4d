"""A model is asked once: how replies are scored, kept and found again."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from kbsync.domain.errors import Stopped
from kbsync.domain.fact import FactKey
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.ports import UNWATCHED, PairScore, Work
from kbsync.stages.evaluate.question import DENIAL, EDITED, STOP, Question
from kbsync.stages.evaluate.replies import Replies
from kbsync.testing.fake_model import TableModel
from kbsync.testing.memory_artifacts import MemoryArtifactStore

KEY = FactKey(ItemId("Q1"), PropertyId("P36"))


class Listening(TableModel):
    """Remembers how long answers may be, and scores pairs as it is told."""

    def __init__(self, costs: dict[tuple[str, str], float] | None = None) -> None:
        super().__init__({"first": " Oslo", "second": " Oslo."})
        self.lengths: list[tuple[int, tuple[str, ...]]] = []
        self.costs = costs or {}

    def complete(self, prompts: Sequence[str], *, max_new_tokens: int = 10, work: Work = UNWATCHED) -> list[str]:
        self.lengths.append((max_new_tokens, tuple(prompts)))
        return super().complete(prompts, max_new_tokens=max_new_tokens, work=work)

    def scores(self, pairs: Sequence[tuple[str, str]], *, work: Work = UNWATCHED) -> list[PairScore]:
        work.checkpoint()
        return [PairScore(self.costs[pair], (True,)) for pair in pairs]


def replies(model: TableModel, artifacts: MemoryArtifactStore | None = None) -> Replies:
    return Replies(model, "a model", UNWATCHED, answer_tokens=8, text_tokens=20, artifacts=artifacts)


def question(prompt: str, group: str = EDITED, **more: object) -> Question:
    return Question(group=group, key=KEY, prompt=prompt, names=("Oslo",), **more)  # type: ignore[arg-type]


def test_only_the_answers_whose_end_is_looked_at_are_longer() -> None:
    model = Listening()
    asked = [question("first"), question("first", STOP, further_tokens=6), question("second")]
    assert [reply.answer for reply in replies(model).to(asked)] == [" Oslo", " Oslo", " Oslo."]
    assert model.lengths == [(8, ("first", "second")), (14, ("first",))]


def test_the_same_prompt_at_another_length_is_another_reply() -> None:
    artifacts = MemoryArtifactStore()
    for length in (0, 6):
        replies(Listening(), artifacts).to([question("first", STOP, further_tokens=length)])
    assert len(artifacts.blobs) == 2
    silent = Listening()
    replies(silent, artifacts).to([question("first", STOP, further_tokens=6)])
    assert silent.lengths == [], "it is found again"


@pytest.mark.parametrize(
    ("control", "success"),
    [
        ({("new", "No"): 3.0, ("new", "Yes"): 1.0}, True),
        ({("new", "No"): 1.0, ("new", "Yes"): 3.0}, False),
    ],
)
def test_with_a_control_the_target_must_be_favoured_more_than_after_the_control(
    control: dict[tuple[str, str], float], success: bool
) -> None:
    model = Listening({("old", "No"): 2.0, ("old", "Yes"): 1.5} | control)
    (reply,) = replies(model).to([question("old", DENIAL, target="No", rival="Yes", control="new")])
    assert reply.score is not None and reply.score.success is success


def test_without_a_control_the_target_must_be_likelier_than_its_rival() -> None:
    model = Listening({("first", "Oslo"): 1.0, ("first", "Bergen"): 2.0})
    (reply,) = replies(model).to([question("first", target="Oslo", rival="Bergen")])
    assert reply.score is not None and reply.score.success


def test_a_stop_is_noticed_while_pairs_are_scored() -> None:
    """And so a lease is renewed, while other machines do the work."""
    model = Listening({("first", "No"): 1.0, ("first", "Yes"): 2.0})

    def check() -> None:
        raise Stopped("asked to stop")

    asking = Replies(model, "a model", Work(checks=[check]), answer_tokens=8, text_tokens=20)
    with pytest.raises(Stopped):
        asking._scores([question("first", target="No", rival="Yes")])
