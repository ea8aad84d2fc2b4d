"""``soak``, ``sabotage``, ``crash``, ``contention`` and ``newcomer``: each ends with code 1 where a demand does not
hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kbsync.cli.command import JsonOption, verb
from tests.evidence.cli.conclude import RESULTS, OutputOption, conclude

SeedOption = Annotated[int, typer.Option(metavar="N", help="Draws everything that is random.")]


@verb(
    "soak",
    examples=["python -m tests.evidence soak", "python -m tests.evidence soak --days 2 --minutes 2 --restart"],
    prints="kbsync.operations.evidence:Evidence",
    changes="a directory and two files",
)
def soak(
    context: typer.Context,
    state: Annotated[
        Path, typer.Option(metavar="DIR", help="Where everything goes; an interrupted run is continued from it.")
    ] = Path("soak-state"),
    days: Annotated[float, typer.Option(min=0.1, metavar="N", help="Simulated days.")] = 30.0,
    minutes: Annotated[float, typer.Option(min=0.1, metavar="N", help="Minutes that they take.")] = 20.0,
    seed: SeedOption = 0,
    restart: Annotated[bool, typer.Option("--restart", help="Discard an interrupted run and begin anew.")] = False,
    output: OutputOption = RESULTS / "soak.json",
    json: JsonOption = False,
) -> None:
    """Run the daemon for a simulated month while everything around it fails.

    The daemon is killed, PostgreSQL is restarted, the endpoint fails and goes away; meanwhile facts change, are
    retracted, vandalised and repaired. Afterwards the ledger, the model's answers, the schedule and the memory are
    judged. A plot is written beside the JSON file. Called again, an interrupted run goes on.
    """
    from tests.evidence.soak.measure import measure_soak

    conclude(measure_soak(state, days, minutes, seed, output, restart=restart), output, json=json)


@verb(
    "sabotage",
    examples=["python -m tests.evidence sabotage"],
    exits=[70, 74],
    prints="kbsync.operations.evidence:Evidence",
    changes="a file",
)
def sabotage(
    context: typer.Context, output: OutputOption = RESULTS / "sabotage.json", json: JsonOption = False
) -> None:
    """Sabotage a site in every way, and search for three culprits among 200 facts.

    Each attempt gets a site of its own: a tiny transformer trained for it, a real SPARQL server, and the default gate.
    """
    from tests.evidence.sabotage.measure import measure_sabotage

    conclude(measure_sabotage(), output, json=json)


@verb(
    "crash",
    examples=[
        "python -m tests.evidence crash",
        "python -m tests.evidence crash --backend sqlite --moments 2 --every 40 --output /tmp/crash.json",
    ],
    prints="kbsync.operations.evidence:Evidence",
    changes="two files",
)
def crash(
    context: typer.Context,
    moments: Annotated[int, typer.Option(min=0, metavar="N", help="Kills at random moments, on each database.")] = 200,
    every: Annotated[int, typer.Option(min=1, metavar="N", help="Kill only at each N-th place.")] = 1,
    backend: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="sqlite or postgresql. May be repeated. Default: both.")
    ] = None,
    seed: SeedOption = 6,
    minutes: Annotated[
        float, typer.Option(min=0, metavar="N", help="Stop after so long (0: never). The next call goes on.")
    ] = 0.0,
    model: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A model that an earlier run trained, to save the time.")
    ] = None,
    record: Annotated[
        Path, typer.Option(metavar="PATH", help="What was tried so far, by which an interrupted run goes on.")
    ] = Path("crash-tries.jsonl"),
    output: OutputOption = RESULTS / "crash.json",
    json: JsonOption = False,
) -> None:
    """Kill `kbsync sync` everywhere, and judge what the next one makes of it.

    It is killed at every place where a stage begins or ends, a transaction is committed or a file gets its name, and at
    random moments, on SQLite and PostgreSQL. Then the disk is full, the store can't be written, and the database server
    restarts. Nothing may be lost, doubled, damaged or left behind.
    """
    from tests.evidence.crash.measure import measure_crashes
    from tests.evidence.crash.world import BACKENDS

    if unknown := sorted(set(backend or ()) - set(BACKENDS)):
        raise typer.BadParameter(f"--backend is {' or '.join(BACKENDS)}, not {unknown[0]!r}")
    document = measure_crashes(
        tuple(backend or BACKENDS), moments, every, seed=seed, minutes=minutes, model=model, record=record
    )
    conclude(document, output, json=json)


@verb(
    "contention",
    examples=["python -m tests.evidence contention", "python -m tests.evidence contention --processes 3 --seconds 5"],
    prints="kbsync.operations.evidence:Evidence",
    changes="a file",
)
def contention(
    context: typer.Context,
    processes: Annotated[int, typer.Option(min=2, metavar="N", help="Processes that want the lease.")] = 8,
    seconds: Annotated[float, typer.Option(min=0.1, metavar="N", help="How long, on each database.")] = 60.0,
    seed: SeedOption = 6,
    output: OutputOption = RESULTS / "contention.json",
    json: JsonOption = False,
) -> None:
    """Let processes compete for the lease, some of which stall until it has run out.

    On SQLite and on PostgreSQL. Nothing may be released twice, and no fencing token may be given out twice.
    """
    from tests.evidence.contention import measure_contention

    conclude(measure_contention(processes, seconds, seed), output, json=json)


@verb(
    "newcomer",
    examples=["python -m tests.evidence newcomer"],
    prints="kbsync.operations.evidence:Evidence",
    changes="a file",
)
def newcomer(
    context: typer.Context, output: OutputOption = RESULTS / "newcomer.json", json: JsonOption = False
) -> None:
    """Run the commands of docs/tutorial/own-model.md, from the wheel in an empty virtual environment.

    The last of them must promote a version that passes the demands.
    """
    from tests.evidence.newcomer.walk import measure_newcomer

    conclude(measure_newcomer(), output, json=json)
