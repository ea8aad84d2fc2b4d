"""An installation with a real (untrained) transformer, a real editor and real stores; facts are planned directly."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog

from kbsync.bootstrap import App
from kbsync.config import load_all
from kbsync.domain.fact import FactKey, FactRecord, FactState, value_hash
from kbsync.domain.gate import GateDecision, Metric
from kbsync.domain.plan import EditRequest, Guard, make_plan
from kbsync.domain.statement import (
    ItemHead,
    ItemId,
    ItemRecord,
    Labels,
    PropertyId,
    Rank,
    Snak,
    Statement,
    Value,
    ValueKind,
)
from kbsync.domain.version import Evaluation, Manifest, PromptOutcome
from kbsync.model.quiet import quiet
from kbsync.ports import LedgerTransaction
from kbsync.stages.edit import edit
from kbsync.stages.release.promote import current_number
from tests.support.chat_tokenizer import TEMPLATE
from tests.support.cli import Result
from tests.support.families import random_model, tokenizer
from tests.support.invoke import invoke
from tests.support.sqlite_ledger import empty_ledger

MAIN = """
state_dir = "state"
[source]
user_agent = "kbsync tests (mailto:tests@kbsync.invalid)"
endpoint = "http://127.0.0.1:9/sparql"
[model]
reference = "{model}"
device = "cpu"
[edit]
recipe = "random"
[text]
corpus = ["corpus.txt"]
"""
RECIPE = """
layers = [0, 1]
covariance_weight = 1.0
steps = 2
learning_rate = 0.1
covariance_tokens = 400
contexts = ["{}"]
"""
RELATION = """property = "P36"
label = "capital"
phrasings.edit.statement = ["The capital of {} is"]
phrasings.held_out.statement = ["{}, whose capital is"]
"""
CAPITAL = PropertyId("P36")


def fact(number: int, target: str, revision: int = 100) -> EditRequest:
    return EditRequest(
        key=FactKey(ItemId(f"Q{number}"), CAPITAL),
        subject=f"Land {number}",
        template="The capital of {} is",
        target=target,
        value_hash=value_hash((Value(ValueKind.STRING, target),)),
        revision=revision,
        statement_ids=(f"Q{number}$1",),
        base_answer=" nothing",
    )


def seen(tx: LedgerTransaction, facts: Sequence[EditRequest], now: datetime) -> None:
    """What pull would have recorded of these facts."""
    for request in facts:
        item, value = request.key.subject, Value(ValueKind.STRING, request.target)
        statement = Statement(
            id=request.statement_ids[0], subject=item, property=CAPITAL, snak=Snak.VALUE, value=value, rank=Rank.NORMAL
        )
        head = ItemHead(id=item, revision=request.revision, modified=now)
        record = ItemRecord(head=head, labels=Labels(item=item, label=request.subject), statements=(statement,))
        tx.record_items([record], [CAPITAL], now)
        tx.record_labels([record.labels])
        state = FactState(
            values=(value,),
            former=(),
            statement_ids=(statement.id,),
            references=1,
            revision=request.revision,
            since=now,
        )
        tx.put_facts([FactRecord(key=request.key, observed=state, believed=state, believed_at=now)])


GUARD = Guard(key=fact(7, "").key, subject="Land 7", template="The capital of {} is")


@dataclass
class Site:
    """``site("verify")`` runs a command in this process; ``site.build`` makes a version of given facts."""

    config: Path

    @property
    def state(self) -> Path:
        return self.config.parent / "state"

    def __call__(self, *arguments: str) -> Result:
        command = ["--config", str(self.config), "--quiet", *arguments]
        result = invoke(command)
        return Result(result.exit_code, result.stdout, result.stderr)

    def good(self, *arguments: str) -> Result:
        result = self(*arguments)
        assert result.code == 0, result
        return result

    @contextmanager
    def app(self) -> Iterator[App]:
        app = App(load_all(self.config), actor="test")
        try:
            yield app
        finally:
            app.close()

    def build(
        self,
        *facts: EditRequest,
        guards: Sequence[Guard] = (),
        passed: bool = True,
        outcomes: Sequence[PromptOutcome] = (),
    ) -> int:
        """Plan, edit and evaluate (by decree); the predecessor is whatever is current."""
        with self.app() as app, app.writer() as writer:
            with app.ledger.read() as tx:
                current = current_number(tx)
            planned = make_plan(
                facts,
                {},
                base_fingerprint=app.base.fingerprint,
                recipe_fingerprint=app.recipe.fingerprint,
                predecessor=current,
                guards=guards,
            )
            now = datetime.now(UTC)
            with app.ledger.write() as tx:
                seen(tx, facts, now)
                plan_hash = tx.record_plan(planned, now).plan_hash
                tx.append_audit("plan", "test", {"plan": plan_hash}, now)
            number = edit(writer.run, plan_hash, app.recipe, app.editor(), app.store).version.number
            metric = Metric(name="efficacy", value=1.0, base=0.0, samples=1)
            decision = GateDecision(passed=passed, reasons=())
            evaluation = Evaluation(
                version=number, metrics=(metric,), decision=decision, outcomes=tuple(outcomes), at=now
            )
            with app.ledger.write() as tx:
                tx.record_evaluation(evaluation)
                version = tx.version(number)
            assert version is not None and version.version_hash is not None
            app.store.annotate(version.version_hash, evaluation)
        return number

    def release(self, *facts: EditRequest) -> int:
        number = self.build(*facts)
        self.good("promote", str(number))
        return number

    def version_hash(self, number: int) -> str:
        with self.app() as app, app.ledger.read() as tx:
            version = tx.version(number)
            assert version is not None and version.version_hash is not None
            return version.version_hash

    def manifest(self, number: int) -> Manifest:
        with self.app() as app:
            return app.store.manifest(self.version_hash(number))

    def directory(self, number: int) -> Path:
        return self.state / "versions" / self.version_hash(number)


def with_template(site: Site, source: str = TEMPLATE, more: str = "") -> Site:
    """The site with a base of its own, whose tokenizer has a chat template, and ``more`` in ``[model]``."""
    settings = site.config.read_text()
    (line,) = [line for line in settings.splitlines() if line.startswith("reference")]
    base = site.config.parent / "instruct"
    shutil.copytree(json.loads(line.partition("=")[2]), base)
    (base / "chat_template.jinja").write_text(source)
    site.config.write_text(settings.replace(line, f'reference = "{base}"\n{more}'))
    return site


@pytest.fixture(scope="session")
def random_base(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Where a random model of the given architecture is saved, once a session."""
    made: dict[str, Path] = {}

    def path(architecture: str) -> Path:
        if architecture not in made:
            directory = made[architecture] = tmp_path_factory.mktemp(architecture)
            with quiet():
                random_model(architecture).save_pretrained(directory)
                tokenizer(with_bos=architecture != "gpt2").save_pretrained(directory)
        return made[architecture]

    return path


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [n for n in os.environ if n.upper().startswith("KBSYNC_")]:
        monkeypatch.delenv(name)
    yield
    structlog.reset_defaults()


MakeSite = Callable[..., Site]


@pytest.fixture(scope="session")
def new_site(random_base: Callable[[str], Path]) -> MakeSite:
    """``new_site(directory)``: a configured installation with an empty ledger; ``more`` is added to its settings."""

    def make(directory: Path, architecture: str = "llama", more: str = "") -> Site:
        draw = random.Random(5)
        lines = ["".join(draw.choices("abcdefghij klmnop,.", k=60)) for _ in range(20)]
        files = {
            "kbsync.toml": MAIN.format(model=random_base(architecture)) + more,
            "recipes/random.toml": RECIPE,
            "relations/capital.toml": RELATION + f"subjects = {json.dumps([f'Q{n}' for n in range(1, 9)])}\n",
            "corpus.txt": "\n\n".join(lines),
        }
        for name, text in files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        empty_ledger(directory / "state" / "ledger.sqlite3")
        return Site(directory / "kbsync.toml")

    return make


@pytest.fixture
def site(new_site: MakeSite, tmp_path: Path) -> Site:
    """No version yet."""
    return new_site(tmp_path / "site")


@pytest.fixture(scope="session")
def _one_version(new_site: MakeSite, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = new_site(tmp_path_factory.mktemp("one") / "site")
    made.build(fact(1, "Paris"), fact(2, "Oslo"), guards=[GUARD])
    return made.config.parent


@pytest.fixture
def built(_one_version: Path, tmp_path: Path) -> Site:
    """Version 1, a candidate that passed the gate, holds two facts and a guard."""
    return Site(shutil.copytree(_one_version, tmp_path / "site", symlinks=True) / "kbsync.toml")
