"""Options that the research commands share, and the objects that are made of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kbsync.cli.command import options
from kbsync.domain.errors import DataError, KbsyncError

if TYPE_CHECKING:
    from kbsync.domain.gate import Threshold
    from kbsync.research.bench import Data
    from kbsync.research.session import ResearchSession, SessionOptions

DataArgument = Annotated[
    Path,
    typer.Argument(
        metavar="FILE", help="The benchmark's records: JSON array or lines, plain or gzip.", exists=True, dir_okay=False
    ),
]
ModelOption = Annotated[str | None, typer.Option("--model", metavar="REFERENCE", help="Default: the configured model.")]
RecipesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--recipe",
        metavar="NAME",
        help="A line of the benchmark for each. May be repeated. Default: the configured recipe.",
    ),
]
EditsOption = Annotated[int, typer.Option("--edits", min=1, metavar="N", help="Cases written in one edit.")]
CasesOption = Annotated[
    int | None, typer.Option("--cases", min=1, metavar="N", help="Measure only N of them. Default: all.")
]
TextsOption = Annotated[int, typer.Option("--texts", min=0, metavar="N", help="Measure the fluency of N cases.")]
PartOption = Annotated[str, typer.Option("--part", metavar="dev|test|all", help="Which part of the cases.")]
KnownOption = Annotated[
    bool,
    typer.Option(
        "--known",
        help="Only cases that the base has right: every neighbour that is wrong afterwards was broken by the edit.",
    ),
]
InContextOption = Annotated[
    bool,
    typer.Option(
        "--in-context",
        help="A further line, `context`: the unedited model with each fact before the prompts that ask for it, as a "
        "retriever that never errs would give it.",
    ),
]
SeedOption = Annotated[int, typer.Option("--seed", metavar="N", help="Draws the cases and the texts.")]
TokensOption = Annotated[int, typer.Option("--answer-tokens", min=1, metavar="N", help="Length of greedy answers.")]
CorpusOption = Annotated[
    list[Path] | None,
    typer.Option("--corpus", metavar="PATH", help="Text for the key covariance, instead of [text].", exists=True),
]
HeldOutOption = Annotated[
    list[Path] | None,
    typer.Option("--held-out", metavar="PATH", help="Text for the perplexity, instead of [text].", exists=True),
]
StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state",
        metavar="DIR",
        help="Where models and finished parts are kept. Default: the configured state directory.",
        file_okay=False,
    ),
]
TargetsOption = Annotated[
    list[str] | None,
    typer.Option("--target", metavar="FIGURE>=X", help="A demand to be judged, such as memit@100.score>=0.9."),
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output",
        metavar="PATH",
        help="The JSON file. Default: docs/results/<benchmark>-<model>.json.",
        dir_okay=False,
    ),
]

EXITS = [65, 70, 74]


def session_options(
    context: typer.Context,
    model: str | None,
    recipes: list[str] | None,
    state: Path | None,
    corpus: list[Path] | None,
    held_out: list[Path] | None,
) -> SessionOptions:
    """The session that the shared options describe."""
    from kbsync.research.session import SessionOptions

    return SessionOptions(
        config=options(context).config,
        model=model,
        recipes=tuple(recipes or ()),
        state=state,
        corpus=None if corpus is None else tuple(corpus),
        held_out=None if held_out is None else tuple(held_out),
    )


@contextmanager
def session_of(context: typer.Context, wanted: SessionOptions) -> Iterator[ResearchSession]:
    """The research session of one command.

    SIGTERM and SIGINT stop it between two parts. Wrong names become wrong usage.
    """
    from kbsync.cli.progress import work_for
    from kbsync.research.session import research_session
    from kbsync.system import log
    from kbsync.system.stop_request import StopRequest, on_signals

    shared = options(context)
    log.set_up("console", "error" if shared.quiet else "info")
    with on_signals(StopRequest()) as stop, research_session(wanted, work_for(stop, shared)) as session:
        try:
            yield session
        except KbsyncError:
            raise
        except ValueError as error:  # a target of no figure, two recipes of one name
            raise typer.BadParameter(str(error)) from None


def data_of(path: Path, part: str, seed: int, known: bool = False) -> Data:
    """The cases that the shared options describe."""
    from kbsync.research.bench import Data
    from kbsync.research.cases import Part

    if part not in {p.value for p in Part}:
        raise typer.BadParameter(f"--part is dev, test or all, not {part!r}")
    return Data(path=path, part=Part(part), seed=seed, known=known)


def targets_of(texts: list[str] | None) -> list[Threshold]:
    """The demands that ``--target`` states."""
    from kbsync.domain.gate import Threshold

    targets = []
    for text in texts or ():
        match = re.fullmatch(r"\s*([^<>=\s]+)\s*(>=|<=)\s*(-?\d+(?:\.\d+)?)\s*", text)
        if not match:
            raise typer.BadParameter(f"--target is FIGURE>=NUMBER or FIGURE<=NUMBER, not {text!r}")
        bound: dict[str, Any] = {"at_least" if match[2] == ">=" else "at_most": float(match[3])}
        targets.append(Threshold(metric=match[1], **bound))
    return targets


def require_matplotlib() -> None:
    """Raise ``DataError`` if matplotlib is missing: before a run, not after it, when its plot is drawn."""
    if find_spec("matplotlib") is None:
        raise DataError("The plot needs matplotlib.", next_step="Install it: pip install 'kbsync[research]'")


def counts_of(text: str, option: str) -> list[int]:
    """The numbers of a list such as ``1,10,100``."""
    if not re.fullmatch(r"\s*[1-9]\d*(\s*,\s*[1-9]\d*)*\s*", text):
        raise typer.BadParameter(f"{option} is a list such as 1,10,100, not {text!r}")
    return [int(part) for part in text.split(",")]
