"""``kbsync bench counterfact``, ``zsre`` and ``scaling``: the protocol of the MEMIT paper."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kbsync.cli.command import JsonOption, options, verb
from kbsync.domain.errors import DataError, KbsyncError

if TYPE_CHECKING:
    from kbsync.domain.gate import Threshold
    from kbsync.evaluation.bench import Data
    from kbsync.service.laboratory import Laboratory, Materials

DataArgument = Annotated[
    Path,
    typer.Argument(
        metavar="FILE", help="The benchmark's records: JSON array or lines, plain or gzip.", exists=True, dir_okay=False
    ),
]
ModelOption = Annotated[
    str | None, typer.Option("--model", metavar="REFERENCE", help="Another model than the configured one.")
]
RecipesOption = Annotated[
    list[str] | None,
    typer.Option("--recipe", metavar="NAME", help="One line each; again for another. Default: the configured recipe."),
]
EditsOption = Annotated[int, typer.Option("--edits", min=1, metavar="N", help="Cases written in one edit.")]
CasesOption = Annotated[
    int | None, typer.Option("--cases", min=1, metavar="N", help="Of them, so many are measured. Default: all.")
]
TextsOption = Annotated[int, typer.Option("--texts", min=0, metavar="N", help="Fluency of so many cases.")]
PartOption = Annotated[str, typer.Option("--part", metavar="dev|test|all", help="Which part of the cases.")]
KnownOption = Annotated[
    bool,
    typer.Option("--known", help="Only cases that the base has right: there every broken neighbour is the edit's."),
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


@verb(
    "bench counterfact",
    examples=[
        "kbsync bench counterfact counterfact.json --edits 100",
        "kbsync bench counterfact cf.json.gz --recipe memit --recipe rome --texts 20",
    ],
    exits=EXITS,
    prints="kbsync.evaluation.evidence:Evidence",
    changes="a file",
)
def counterfact(
    context: typer.Context,
    data: DataArgument,
    model: ModelOption = None,
    recipe: RecipesOption = None,
    edits: EditsOption = 100,
    cases: CasesOption = None,
    texts: TextsOption = 0,
    snippets: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The published attribute snippets: adds consistency.", exists=True),
    ] = None,
    part: PartOption = "test",
    known: KnownOption = False,
    seed: SeedOption = 0,
    answer_tokens: TokensOption = 10,
    corpus: CorpusOption = None,
    held_out: HeldOutOption = None,
    state: StateOption = None,
    target: TargetsOption = None,
    output: OutputOption = None,
    json: JsonOption = False,
) -> None:
    """Write counterfactual answers into the base all at once, and measure what became of it (CounterFact).

    Reads model, recipe and text from the configuration where no option says otherwise, and touches no ledger and no
    version. Every finished part is kept: a run that was stopped or killed goes on where it was.
    """
    from kbsync.evaluation.bench import Extent, run_counterfact
    from kbsync.evaluation.consistency import read_references

    materials = materials_of(context, model, recipe, state, corpus, held_out)
    extent = Extent(cases=cases, texts=texts, answer_tokens=answer_tokens)
    targets = targets_of(target)
    with laboratory_of(context, materials) as place:
        document = run_counterfact(
            place.bench(),
            data_of(data, part, seed, known),
            place.algorithms(),
            edits=edits,
            extent=extent,
            references=read_references(snippets) if snippets else None,
            targets=targets,
        )
        output = output or _default("counterfact", place)
    _finish(document, output, json=json)


@verb(
    "bench zsre",
    examples=["kbsync bench zsre zsre_mend_eval.json --edits 100"],
    exits=EXITS,
    prints="kbsync.evaluation.evidence:Evidence",
    changes="a file",
)
def zsre(
    context: typer.Context,
    data: DataArgument,
    model: ModelOption = None,
    recipe: RecipesOption = None,
    edits: EditsOption = 100,
    cases: CasesOption = None,
    part: PartOption = "test",
    seed: SeedOption = 0,
    answer_tokens: TokensOption = 10,
    corpus: CorpusOption = None,
    held_out: HeldOutOption = None,
    state: StateOption = None,
    target: TargetsOption = None,
    output: OutputOption = None,
    json: JsonOption = False,
) -> None:
    """Write right answers to questions into the base all at once, and measure what became of it (zsRE).

    Reads model, recipe and text from the configuration where no option says otherwise, and touches no ledger and no
    version. Every finished part is kept: a run that was stopped or killed goes on where it was.
    """
    from kbsync.evaluation.bench import Extent, run_zsre

    materials = materials_of(context, model, recipe, state, corpus, held_out)
    extent = Extent(cases=cases, answer_tokens=answer_tokens)
    targets = targets_of(target)
    with laboratory_of(context, materials) as place:
        bench, lines = place.bench(), place.algorithms()
        document = run_zsre(bench, data_of(data, part, seed), lines, edits=edits, extent=extent, targets=targets)
        output = output or _default("zsre", place)
    _finish(document, output, json=json)


@verb(
    "bench scaling",
    examples=[
        "kbsync bench scaling counterfact.json --recipe memit --recipe rome:100 --sizes 1,10,100,1000 --cases 100"
    ],
    exits=EXITS,
    prints="kbsync.evaluation.evidence:Evidence",
    changes="a file",
)
def scaling(
    context: typer.Context,
    data: DataArgument,
    model: ModelOption = None,
    recipe: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:N]",
            help="One line each, up to N edits; again for another. Default: the configured recipe.",
        ),
    ] = None,
    sizes: Annotated[str, typer.Option(metavar="LIST", help="Numbers of edits.")] = "1,10,100,1000",
    cases: CasesOption = None,
    part: PartOption = "test",
    known: KnownOption = False,
    seed: SeedOption = 0,
    answer_tokens: TokensOption = 10,
    corpus: CorpusOption = None,
    held_out: HeldOutOption = None,
    state: StateOption = None,
    target: TargetsOption = None,
    output: OutputOption = None,
    json: JsonOption = False,
) -> None:
    """CounterFact at several numbers of edits, each from the base, with a plot beside the JSON file (the paper's figure 5).

    Reads model, recipe and text from the configuration where no option says otherwise, and touches no ledger and no
    version. Every finished part is kept: a run that was stopped or killed goes on where it was.
    """
    from kbsync.cli.output import say
    from kbsync.evaluation.bench import Extent, run_scaling
    from kbsync.evaluation.plots import plot_scaling

    require_matplotlib()
    counts = counts_of(sizes, "--sizes")
    ends = _lines(recipe or ())
    materials = materials_of(context, model, list(ends), state, corpus, held_out)
    extent = Extent(cases=cases, answer_tokens=answer_tokens)
    targets = targets_of(target)
    with laboratory_of(context, materials) as place:
        bench, lines = place.bench(), place.algorithms({name: most for name, most in ends.items() if most})
        document = run_scaling(
            bench, data_of(data, part, seed, known), lines, sizes=counts, extent=extent, targets=targets
        )
        output = output or _default("scaling", place)
    _finish(document, output, json=json)
    plot_scaling(output, output.with_suffix(".png"))
    if not json:
        say(f"drawn in {output.with_suffix('.png')}")


def _lines(texts: Sequence[str]) -> dict[str, int]:
    """Where each recipe's line ends (0: nowhere), from ``NAME`` or ``NAME:N``."""
    ends: dict[str, int] = {}
    for text in texts:
        name, colon, most = text.partition(":")
        if colon and not re.fullmatch(r"[1-9]\d*", most):
            raise typer.BadParameter(f"--recipe is NAME or NAME:N, not {text!r}")
        if name in ends:
            raise typer.BadParameter(f"--recipe {name} is given twice")
        ends[name] = int(most or 0)
    return ends


def materials_of(
    context: typer.Context,
    model: str | None,
    recipes: list[str] | None,
    state: Path | None,
    corpus: list[Path] | None,
    held_out: list[Path] | None,
) -> Materials:
    """What the shared options say."""
    from kbsync.service.laboratory import Materials

    return Materials(
        config=options(context).config,
        model=model,
        recipes=tuple(recipes or ()),
        state=state,
        corpus=None if corpus is None else tuple(corpus),
        held_out=None if held_out is None else tuple(held_out),
    )


@contextmanager
def laboratory_of(context: typer.Context, materials: Materials) -> Iterator[Laboratory]:
    """The laboratory of one command: SIGTERM and SIGINT stop it between two parts; wrong names are wrong usage."""
    from kbsync.cli.progress import progress_for
    from kbsync.service import log
    from kbsync.service.laboratory import laboratory
    from kbsync.service.stop import Stop, on_signals

    asked = options(context)
    log.set_up("console", "error" if asked.quiet else "info")
    with on_signals(Stop()) as stop, laboratory(materials, progress_for(stop, asked)) as place:
        try:
            yield place
        except KbsyncError:
            raise
        except ValueError as error:  # a target of no figure, two recipes of one name
            raise typer.BadParameter(str(error)) from None


def data_of(path: Path, part: str, seed: int, known: bool = False) -> Data:
    """What the shared options say of the records."""
    from kbsync.evaluation.bench import Data
    from kbsync.evaluation.cases import Part

    if part not in {p.value for p in Part}:
        raise typer.BadParameter(f"--part is dev, test or all, not {part!r}")
    return Data(path=path, part=Part(part), seed=seed, known=known)


def targets_of(texts: list[str] | None) -> list[Threshold]:
    """The demands that ``--target`` states."""
    from kbsync.domain.gate import Threshold

    found = []
    for text in texts or ():
        match = re.fullmatch(r"\s*([^<>=\s]+)\s*(>=|<=)\s*(-?\d+(?:\.\d+)?)\s*", text)
        if not match:
            raise typer.BadParameter(f"--target is FIGURE>=NUMBER or FIGURE<=NUMBER, not {text!r}")
        bound: dict[str, Any] = {"at_least" if match[2] == ">=" else "at_most": float(match[3])}
        found.append(Threshold(metric=match[1], **bound))
    return found


def require_matplotlib() -> None:
    """Raises ``DataError`` before anything is computed that could not be drawn."""
    if find_spec("matplotlib") is None:
        raise DataError("The plot needs matplotlib.", next_step="Install it: pip install 'kbsync[bench]'")


def counts_of(text: str, option: str) -> list[int]:
    """The numbers of a list such as ``1,10,100``."""
    if not re.fullmatch(r"\s*[1-9]\d*(\s*,\s*[1-9]\d*)*\s*", text):
        raise typer.BadParameter(f"{option} is a list such as 1,10,100, not {text!r}")
    return [int(part) for part in text.split(",")]


def _default(benchmark: str, place: Laboratory) -> Path:
    from kbsync.cli.bench import RESULTS

    return RESULTS / f"{benchmark}-{place.model_name}.json"


def _finish(document: dict[str, Any], output: Path, *, json: bool) -> None:
    from kbsync.cli.bench import finish

    finish(document, output, json=json)
