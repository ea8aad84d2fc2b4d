"""The attempts at sabotage, one function each. They return what happened, and whether ``current`` answers as before.

Most attempts come together with an honest change, which must be promoted all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load, save

from kbsync.checkpoints.artifacts import FileArtifactStore
from kbsync.checkpoints.disk import DiskStorage
from kbsync.demo.table import Item
from kbsync.domain.errors import EditError
from kbsync.domain.fact import FactKey
from kbsync.domain.phrasing import fill, from_templates
from kbsync.domain.relation import Cardinality, Relation
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.editing.covariance.covariance import KIND, forget
from kbsync.stages.cycle import CycleResult
from tests.evidence.sabotage.site import WEIGHT, Site, more, row
from tests.evidence.soak.world import CAPITAL, OFFICE
from tests.support.relation_words import statements

COUNTRY, ELECTED = 10, 0
"""The honest change: the position of the country that votes, and of the candidate that it elects."""
FLOOD = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """The state after an attempt and the cycle that followed it."""

    outcome: str
    """How the cycle ended."""
    refused: Mapping[str, str]
    """What was refused, and why."""
    changed: frozenset[str]
    """Prompts that ``current`` does not answer as before."""
    wanted: frozenset[str]
    """Prompts of the honest change that ``current`` answers with the new value."""

    @property
    def contained(self) -> bool:
        """Only the honest change is answered differently."""
        return self.changed <= self.wanted


def contradiction(site: Site) -> Aftermath:
    """Give two items the same name and different heads of government: one prompt can't have two answers."""
    names = ("Q90001", "Q90002")
    items = [Item(id=ItemId(q), label="Newland", aliases=()) for q in names]
    site.state(items, [row(q, OFFICE, site.candidate(3 + n)) for n, q in enumerate(names)])
    site.watch(more(site.relation(OFFICE), names))
    return _beside_an_election(site)


def flood(site: Site) -> Aftermath:
    """Add fifty facts about one subject at once."""
    subject = site.relation(CAPITAL).subjects[0]
    # The model has learnt the n-th town as the capital of "Land n", so it would answer some of these rightly.
    towns = sorted({r.object for r in site.table.statements if r.property == CAPITAL and r.subject != subject})
    for number in range(FLOOD):
        made = _made_up(number, subject)
        site.state([], [row(subject, made.property, towns[(number + FLOOD // 2) % len(towns)])])
        site.watch(made)
    return _beside_an_election(site)


def gibberish(site: Site) -> Aftermath:
    """Elect a head of government whose name is gibberish."""
    poison = Item(id=ItemId("Q90003"), label="xq§vkzj wpqt#grr~bz", aliases=())
    site.state([poison], [])
    site.elect(COUNTRY + 1, poison.id)
    return _beside_an_election(site)


def weak_covariance(site: Site) -> Aftermath:
    """Set λ ten times too small, so that the edit preserves too little of what the model knows."""
    site.weigh(WEIGHT / 10)
    return _beside_an_election(site)


def right_weight(site: Site) -> Aftermath:
    """Sync the same facts with the right λ."""
    site.weigh(WEIGHT)
    return _aftermath(site, site.answers())


def flipped_covariance(site: Site) -> Aftermath:
    """Flip a bit of each stored covariance."""
    for path in _covariances(site).values():
        stored = bytearray(path.read_bytes())
        stored[len(stored) // 2] ^= 0x40
        path.write_bytes(bytes(stored))
    return _beside_an_election(site)


def poisoned_covariance(site: Site) -> Aftermath:
    """Put a NaN into each stored covariance, with a checksum that is right."""
    store = FileArtifactStore(DiskStorage(site.place / "state" / "artifacts"))
    for name in _covariances(site):
        kind, _, key = name.partition("/")
        blob = store.get(kind, key)
        assert blob is not None
        tensors = load(blob)
        tensors["second_moment"][0, 0] = torch.nan
        store.drop(kind, key)
        store.put(kind, key, save(tensors))
    return _beside_an_election(site)


ATTEMPTS: Mapping[str, Callable[[Site], Aftermath]] = {
    "contradictory pair": contradiction,
    "flood about one subject": flood,
    "gibberish as an answer": gibberish,
    "lambda ten times too small": weak_covariance,
    "covariance with a flipped byte": flipped_covariance,
    "covariance with a NaN": poisoned_covariance,
}


def measure_again(site: Site) -> Aftermath:
    """Do what the error about the poisoned covariance says: `kbsync stats build --anew`, then the next sync."""
    with site.open() as app:
        forget(app.corpus, app.recipe, app.base.fingerprint, app.artifacts)
    return _aftermath(site, site.answers())


def _beside_an_election(site: Site) -> Aftermath:
    before = site.answers()
    site.elect(COUNTRY, site.candidate(ELECTED))
    site.pass_time()
    return _aftermath(site, before)


def _aftermath(site: Site, before: Mapping[str, str]) -> Aftermath:
    try:
        result = site.sync()
        outcome, refused = str(result.outcome), _refused(result)
    except EditError as error:
        outcome, refused = "error", {"edit": str(error)}
    after = site.answers()
    relation = site.relation(OFFICE)
    voters, chosen = site.table.label(relation.subjects[COUNTRY]), site.table.label(site.candidate(ELECTED))
    prompts = [fill(t, voters) for t in statements(relation)]
    return Aftermath(
        outcome=outcome,
        refused=refused,
        changed=frozenset(p for p, said in after.items() if said != before[p]),
        wanted=frozenset(p for p in prompts if after[p].strip().startswith(chosen)),
    )


def _refused(result: CycleResult) -> dict[str, str]:
    refused = {str(r.key): r.reason for r in result.planned.plan.refused}
    refused |= {str(FactKey(*key)): "quarantined" for key in result.quarantined}
    return refused | ({"batch": result.reason} if result.reason else {})


def _made_up(number: int, subject: ItemId) -> Relation:
    return Relation(
        name=f"made_up_{number}",
        property=PropertyId(f"P{90000 + number}"),
        label=f"made up {number}",
        phrasings=from_templates(f"The {number}th town of {{}} is"),
        cardinality=Cardinality.SINGLE,
        subjects=(subject,),
    )


def _covariances(site: Site) -> dict[str, Path]:
    store = FileArtifactStore(DiskStorage(site.place / "state" / "artifacts"))
    return {name: Path(str(store.entry(name))) for name in store.names() if name.startswith(f"{KIND}/")}
