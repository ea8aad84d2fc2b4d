"""``kbsync trace relations``: which relations a model reads out linearly, at which layer, and whether an edit of the
others fails (Hernandez et al., *Linearity of Relation Decoding in Transformer LMs*, ICLR 2024).

For each relation W and b are estimated from a few examples. Faithfulness is the share of further subjects of which
β W s + b says the same token as the model; causality the share of which Δs = W† (o′ − o) makes the model say another
subject's answer. Only subjects count that the model knows. Layer, β and rank are chosen on one half of them, and both
shares measured on the other half.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from kbsync.domain.canonical import content_hash
from kbsync.domain.errors import DataError
from kbsync.editing.common.prompts import Prompt, Unlocatable
from kbsync.editing.relations.few_shot import Pair, asked, first_token
from kbsync.editing.relations.linear import LinearRelation, decoded, estimate
from kbsync.editing.relations.states import RelationStates, read_states, said_with
from kbsync.model.decoder import Decoder, discover
from kbsync.model.hooks import frozen
from kbsync.operations.evidence import Figure, evidence
from kbsync.research.relation_edits import EditedRelations, edit_relations
from kbsync.research.relation_pairs import RelationData
from kbsync.research.result_cache import EDITED_BY, ResultCache
from kbsync.research.session import ResearchSession

FAITHFUL = 0.6
"""Above this faithfulness the paper calls a relation linear."""
BETAS = tuple(0.25 * n for n in range(1, 21))
"""The published grid, without 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Linearity:
    """How much is estimated, and how."""

    examples: int = 5
    """From which W and b are estimated (published: 8; the code's default: 5)."""
    layers: tuple[int, ...] = ()
    """After which s is read; empty: every third layer but the last ones."""
    subjects: int = 40
    """At most so many further subjects of a relation are asked."""
    least: int = 8
    """A relation of which the model knows fewer is left out."""
    relations: int | None = None
    """At most so many relations, those with the most pairs; None: all."""
    edits: int = 0
    """Facts of each relation that are written for the correlation with editing; 0: none."""
    seed: int = 0


def trace_relations(
    session: ResearchSession, relations: Sequence[RelationData], source: dict[str, Any], wanted: Linearity
) -> dict[str, Any]:
    """Measure every relation. Each is kept, so that a killed run goes on where it was.

    Args:
        session: The model and the store of finished parts.
        relations: What may be measured.
        source: What the evidence says about where they come from.
        wanted: How much, and how.

    Returns:
        The evidence document.

    Raises:
        DataError: The model knows too little of every relation.
        Stopped: A stop was asked for; raised between two relations.
    """
    started, begun = session.app.clock.now(), time.monotonic()
    loaded = session.app.loaded
    decoder = discover(loaded.model)
    layers = wanted.layers or default_layers(len(decoder.layers))
    chosen = sorted(relations, key=lambda r: (-len(r.pairs), r.name))[: wanted.relations]
    parts = ResultCache(session.artifacts, "linearity", EDITED_BY)
    measured: dict[str, Any] = {}
    skipped: dict[str, str] = {}
    session.app.work.start("relations", len(chosen))
    with frozen(loaded.model):
        for relation in chosen:
            inputs = {
                "model": loaded.fingerprint,
                "relation": [relation.name, relation.template, list(map(list, relation.pairs))],
                "wanted": [wanted.examples, list(layers), wanted.subjects, wanted.least, wanted.seed],
            }
            measure = _Measure(decoder, loaded.tokenizer, relation, layers, wanted)
            result = parts.make(measure.result, **inputs)
            if "skipped" in result:
                skipped[relation.name] = result["skipped"]
            else:
                measured[relation.name] = result
            session.app.work.advance()
    session.app.work.finish(f"{len(measured)} measured")
    if not measured:
        raise DataError(
            f"The model knows fewer than {wanted.least} subjects of every relation: "
            f"{'; '.join(f'{n}: {r}' for n, r in list(skipped.items())[:5])}.",
            next_step="Name more relations, or a smaller --least.",
        )
    edited = _edited(session, chosen, measured, wanted)
    return evidence(
        "kbsync trace relations",
        _figures(measured, edited),
        seed=wanted.seed,
        started=started,
        seconds=time.monotonic() - begun,
        model={"reference": session.bench().loaded.reference, "fingerprint": loaded.fingerprint},
        data=source | {"relations": len(chosen), "skipped": skipped},
        settings=asdict(wanted) | {"layers": list(layers), "betas": list(BETAS), "faithful_above": FAITHFUL},
        relations=measured,
        editing=edited.document if edited else None,
    )


def default_layers(count: int) -> tuple[int, ...]:
    """Every third layer of ``count``, without the first and the last three."""
    return tuple(range(2, max(3, count - 3), 3))


def drawn(relation: RelationData, wanted: Linearity) -> tuple[list[Pair], list[Pair]]:
    """Examples with as many different answers as there are, and the other subjects, in a drawn order."""
    order = sorted(relation.pairs, key=lambda pair: content_hash([wanted.seed, *pair]))
    by_subject = list({pair.subject: pair for pair in reversed(order)}.values())[::-1]
    fresh: dict[str, Pair] = {}
    for pair in by_subject:
        fresh.setdefault(pair.answer, pair)
    ranked = [*fresh.values(), *(pair for pair in by_subject if fresh[pair.answer] != pair)]
    examples = ranked[: wanted.examples]
    return examples, [pair for pair in by_subject if pair not in examples][: wanted.subjects]


@dataclass(frozen=True, slots=True)
class _Known:
    """Subjects that the model knows, with their states."""

    pairs: list[Pair]
    prompts: list[Prompt]
    states: RelationStates

    def at(self, rows: Sequence[int]) -> _Known:
        index = torch.tensor(rows)
        states = RelationStates(
            {layer: s[index] for layer, s in self.states.subjects.items()},
            self.states.objects[index],
            self.states.said[index],
        )
        return _Known([self.pairs[r] for r in rows], [self.prompts[r] for r in rows], states)


@dataclass(frozen=True, slots=True)
class _Measure:
    """One relation."""

    decoder: Decoder
    tokenizer: Any
    relation: RelationData
    layers: Sequence[int]
    wanted: Linearity

    def result(self) -> dict[str, Any]:
        """What the evidence says of the relation, or why it is left out."""
        examples, others = drawn(self.relation, self.wanted)
        try:
            known = self._known(examples, others)
        except Unlocatable as reason:
            return {"skipped": str(reason)}
        if len(known.pairs) < self.wanted.least:
            return {"skipped": f"the model knows {len(known.pairs)} of {len(others)} subjects"}
        operators = estimate(self.decoder, self.tokenizer, self.relation.template, examples, self.layers)
        dev, test = (known.at(range(first, len(known.pairs), 2)) for first in (0, 1))
        grid = {layer: [self._faithfulness(operators[layer], beta, dev) for beta in BETAS] for layer in self.layers}
        layer = max(self.layers, key=lambda one: (max(grid[one]), -one))
        beta = BETAS[max(range(len(BETAS)), key=lambda n: (grid[layer][n], -n))]
        ranks = _ranks(self.decoder.hidden_size)
        causal = {rank: self._causality(operators[layer], rank, dev) for rank in ranks}
        rank = max(ranks, key=lambda one: (causal[one], -one))
        return {
            "template": self.relation.template,
            "known": len(known.pairs),
            "asked": len(others),
            "layer": layer,
            "beta": beta,
            "rank": rank,
            "faithfulness": self._faithfulness(operators[layer], beta, test),
            "causality": self._causality(operators[layer], rank, test),
            "by_layer": {str(one): max(grid[one]) for one in self.layers},
            "answers": len(set(known.states.said.tolist())),
            "commonest_answer": Counter(known.states.said.tolist()).most_common(1)[0][1] / len(known.pairs),
        }

    def _known(self, examples: Sequence[Pair], others: Sequence[Pair]) -> _Known:
        pairs, prompts, wanted = [], [], []
        for pair in others:
            try:
                prompts.append(asked(self.tokenizer, self.relation.template, examples, pair.subject))
                wanted.append(first_token(self.tokenizer, self.relation.template, pair))
                pairs.append(pair)
            except Unlocatable:
                del prompts[len(pairs) :]
        if not pairs:
            raise Unlocatable("no subject can be located")
        read = _Known(pairs, prompts, read_states(self.decoder, prompts, self.layers))
        return read.at([n for n, token in enumerate(wanted) if int(read.states.said[n]) == token] or [0])

    def _faithfulness(self, operator: LinearRelation, beta: float, known: _Known) -> float:
        objects = operator.objects(known.states.subjects[operator.layer], beta)
        return _share(decoded(self.decoder, objects).argmax(dim=-1) == known.states.said)

    def _causality(self, operator: LinearRelation, rank: int, known: _Known) -> float:
        """Each subject is to be answered as the next one with another answer; 0 where all answers are the same."""
        said = known.states.said.tolist()
        count = len(said)
        pairs = [
            (row, other)
            for row in range(count)
            if (other := next((o % count for o in range(row + 1, row + count) if said[o % count] != said[row]), None))
            is not None
        ]
        if not pairs:
            return 0.0
        rows, others = (torch.tensor(side) for side in zip(*pairs, strict=True))
        changes = operator.changes(known.states.objects[others] - known.states.objects[rows], rank)
        now = said_with(self.decoder, [known.prompts[row] for row, _ in pairs], operator.layer, changes)
        return _share(now == known.states.said[others])


def _ranks(width: int) -> tuple[int, ...]:
    """The ranks that are tried: a coarser grid than the published one (0 to 320 in steps of 8)."""
    return tuple(sorted({max(1, round(width * share)) for share in (0.02, 0.05, 0.1, 0.2, 0.35)}))


def _share(right: Tensor) -> float:
    return float(right.double().mean())


def _edited(
    session: ResearchSession, relations: Iterable[RelationData], measured: dict[str, Any], wanted: Linearity
) -> EditedRelations | None:
    if not wanted.edits:
        return None
    chosen = [relation for relation in relations if relation.name in measured]
    return edit_relations(session, chosen, wanted.edits, wanted.seed)


def _figures(measured: dict[str, Any], edited: EditedRelations | None) -> list[Figure]:
    faithful = [result["faithfulness"] for result in measured.values()]
    figures = [
        Figure("relations", len(measured), "relations"),
        Figure("faithful", fmean(value > FAITHFUL for value in faithful), "share"),
        Figure("mean_faithfulness", fmean(faithful), "share"),
        Figure("mean_causality", fmean(result["causality"] for result in measured.values()), "share"),
    ]
    if edited is not None:
        shares = edited.shares
        names = [name for name in measured if name in shares]
        found = correlation([measured[n]["faithfulness"] for n in names], [shares[n] for n in names])
        figures.append(Figure("correlation_with_editing", found, "Pearson's r"))
        figures.append(Figure("relations_edited", len(names), "relations"))
    for name, result in sorted(measured.items(), key=lambda item: -item[1]["faithfulness"]):
        figures += [
            Figure(f"{name}.faithfulness", result["faithfulness"], "share"),
            Figure(f"{name}.causality", result["causality"], "share"),
            Figure(f"{name}.layer", result["layer"], "layer"),
            Figure(f"{name}.known", result["known"], "subjects"),
        ]
        if edited is not None and name in edited.shares:
            figures.append(Figure(f"{name}.editing", edited.shares[name], "share"))
    return figures


def correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Pearson's r; 0 where one of both does not vary, or there are fewer than three."""
    if len(first) < 3:
        return 0.0
    a, b = (torch.tensor(values, dtype=torch.float64) for values in (first, second))
    a, b = a - a.mean(), b - b.mean()
    scale = float(a.norm() * b.norm())
    return float(a @ b) / scale if scale else 0.0
