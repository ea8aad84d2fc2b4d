"""The suite notices a base or an editor that breaks a promise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pytest

from kbsync.domain.phrasing import fill
from kbsync.domain.recipe import Recipe
from kbsync.domain.rewrite import Preserved, Rewrite
from kbsync.ports import BaseModel, Delta, Edit, Editor, LanguageModel, Work
from kbsync.testing import TableBase, TableDelta, TableEditor
from kbsync.testing.conformance import ModelConformance, ModelKit
from kbsync.testing.conformance.models import FACTS, TEMPLATE

SUITE = ModelConformance()
ANSWERS = {fill(TEMPLATE, country): f" {city}." for country, city in FACTS.items()}


class Kit(ModelKit):
    def __init__(self, base: BaseModel | None = None, editor: Editor | None = None) -> None:
        self.base, self.editor = base or TableBase(ANSWERS), editor or TableEditor()
        self.recipe = Recipe(name="table", layers=(1,))

    def same(self, one: Delta, other: Delta) -> bool:
        return one == other


class Ignorant(TableBase):
    def __init__(self) -> None:
        super().__init__({})


class Staying(TableBase):
    """Keeps what was tried on."""

    @contextmanager
    def edited(self, delta: Delta) -> Iterator[LanguageModel]:
        assert isinstance(delta, TableDelta)
        self.model.answers |= delta.entries
        yield self.model


class Idle(TableEditor):
    def edit(
        self, rewrites: Sequence[Rewrite], recipe: Recipe, work: Work, *, guards: Sequence[Preserved] = ()
    ) -> Edit:
        return replace(super().edit(rewrites, recipe, work, guards=guards), delta=TableDelta())


class Ordered(TableEditor):
    """Writes the first rewrite only."""

    def edit(
        self, rewrites: Sequence[Rewrite], recipe: Recipe, work: Work, *, guards: Sequence[Preserved] = ()
    ) -> Edit:
        return super().edit(rewrites[:1], recipe, work, guards=guards)


def test_a_model_that_does_not_know_the_facts() -> None:
    with pytest.raises(AssertionError):
        SUITE.test_a_known_prompt_is_continued_with_its_answer(Kit(Ignorant()))


def test_a_base_that_keeps_what_was_tried_on() -> None:
    with pytest.raises(AssertionError):
        SUITE.test_an_edit_changes_what_was_asked_for_and_the_base_comes_back(Kit(Staying(ANSWERS)))
    with pytest.raises(AssertionError):
        SUITE.test_the_base_comes_back_after_an_error_too(Kit(Staying(ANSWERS)))
    with pytest.raises(pytest.fail.Exception):
        SUITE.test_the_base_is_not_asked_while_other_weights_are_in_place(Kit(Staying(ANSWERS)))


def test_an_editor_that_writes_nothing() -> None:
    with pytest.raises(AssertionError):
        SUITE.test_an_edit_changes_what_was_asked_for_and_the_base_comes_back(Kit(editor=Idle()))
    with pytest.raises(AssertionError):
        SUITE.test_the_base_does_not_diverge_from_itself_and_an_edit_does_where_it_was_made(Kit(editor=Idle()))


def test_an_editor_that_minds_the_order() -> None:
    with pytest.raises(AssertionError):
        SUITE.test_the_order_of_requests_does_not_matter(Kit(editor=Ordered()))
