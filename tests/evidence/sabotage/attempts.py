"""What is done to the site, one function each: what came of it, and whether ``current`` answers as before.

Beside most attempts an honest change is under way, which must go live all the same.
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
"""The honest change: the place of the country that votes, and of the candidate that it elects."""
FLOOD = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """``refused``: what was not let through, with the reason. ``changed``: prompts that ``current`` answers otherwise
    than before; ``wanted``: those of the honest change, whose answer is the new one; ``promoted``: the cycle ended with
    that."""

    outcome: str
    refused: Mapping[str, str]
    changed: frozenset[str]
    wanted: frozenset[str]

    @property
    def calm(self) -> bool:
        """Nothing but the honest change is answered otherwise."""
        return self.changed <= self.wanted


def contradiction(site: Site) -> Told:
    """Two items with one name and different heads of government: one prompt can't have two answers."""
    names = ("Q90001", "Q90002")
    items = [Item(id=ItemId(q), label="Newland", aliases=()) for q in names]
    site.state(items, [row(q, OFFICE, site.candidate(3 + n)) for n, q in enumerate(names)])
    site.watch(more(site.relation(OFFICE), names))
    return _beside_an_election(site)


def flood(site: Site) -> Told:
    """Fifty new facts about one subject at once."""
    subject = site.relation(CAPITAL).subjects[0]
    towns = sorted({r.object for r in site.table.statements if r.property == CAPITAL})
    for number in range(FLOOD):
        made = _made_up(number, subject)
        site.state([], [row(subject, made.property, towns[number % len(towns)])])
        site.watch(made)
    return _beside_an_election(site)


def gibberish(site: Site) -> Told:
    """A head of government whose name is no name."""
    poison = Item(id=ItemId("Q90003"), label="xq§vkzj wpqt#grr~bz", aliases=())
    site.state([poison], [])
    site.elect(COUNTRY + 1, poison.id)
    return _beside_an_election(site)


def weak_covariance(site: Site) -> Told:
    """λ ten times too small: the new facts are written with too little regard for everything else."""
    site.weigh(WEIGHT / 10)
    return _beside_an_election(site)


def right_weight(site: Site) -> Told:
    """The same facts with the λ of before."""
    site.weigh(WEIGHT)
    return _told(site, site.answers())


def flipped_covariance(site: Site) -> Told:
    """A byte of the stored covariance is another."""
    for path in _covariances(site).values():
        stored = bytearray(path.read_bytes())
        stored[len(stored) // 2] ^= 0x40
        path.write_bytes(bytes(stored))
    return _beside_an_election(site)


def poisoned_covariance(site: Site) -> Told:
    """The stored covariance holds a NaN, and its checksum is right."""
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


ATTEMPTS: Mapping[str, Callable[[Site], Told]] = {
    "contradictory pair": contradiction,
    "flood about one subject": flood,
    "gibberish as an answer": gibberish,
    "lambda ten times too small": weak_covariance,
    "covariance with a flipped byte": flipped_covariance,
    "covariance with a NaN": poisoned_covariance,
}


def measure_again(site: Site) -> Told:
    """What the error over the poisoned covariance says to do: `kbsync stats build --anew`, and the next sync."""
    with site.open() as app:
        forget(app.corpus, app.recipe, app.base.fingerprint, app.artifacts)
    return _told(site, site.answers())


def _beside_an_election(site: Site) -> Told:
    before = site.answers()
    site.elect(COUNTRY, site.candidate(ELECTED))
    site.pass_time()
    return _told(site, before)


def _told(site: Site, before: Mapping[str, str]) -> Told:
    try:
        result = site.sync()
        outcome, refused = str(result.outcome), _refused(result)
    except EditError as error:
        outcome, refused = "error", {"edit": str(error)}
    after = site.answers()
    relation = site.relation(OFFICE)
    voters, chosen = site.table.label(relation.subjects[COUNTRY]), site.table.label(site.candidate(ELECTED))
    prompts = [fill(t, voters) for t in statements(relation)]
    return Told(
        outcome=outcome,
        refused=refused,
        changed=frozenset(p for p, said in after.items() if said != before[p]),
        wanted=frozenset(p for p in prompts if after[p].strip().startswith(chosen)),
    )


def _refused(result: CycleResult) -> dict[str, str]:
    told = {str(r.key): r.reason for r in result.planned.plan.refused}
    told |= {str(FactKey(*key)): "quarantined" for key in result.quarantined}
    return told | ({"batch": result.reason} if result.reason else {})


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
