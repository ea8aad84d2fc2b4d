"""``kbsync ask``"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from kbsync.cli.command import JsonOption, verb

if TYPE_CHECKING:
    from kbsync.bootstrap import App


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerView:
    """What one version answers."""

    version: str
    """As it was asked for."""
    number: int
    """What that stands for; 0: the base."""
    text: str
    """The continuation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskView:
    """One prompt, answered by each version."""

    prompt: str
    asked: str
    """`chat`: as a turn of the model's chat template. `plain`: as the beginning of a text."""
    answers: tuple[AnswerView, ...]


@verb(
    "ask",
    examples=[
        "kbsync ask 'The head of state of the United Kingdom is'",
        "kbsync ask 'Who is the mayor of Berlin?' --version current",
        "kbsync ask 'The capital of Kazakhstan is' --version base --version 2 --version current",
    ],
    exits=[65, 66, 74],
    prints="kbsync.cli.ask:AskView",
    changes="",
)
def ask(
    context: typer.Context,
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="A question, or words to continue.")],
    version: Annotated[
        list[str] | None,
        typer.Option(metavar="N|base|current", help="May be repeated. Default: base and current, side by side."),
    ] = None,
    tokens: Annotated[int, typer.Option(help="Length of the answer in tokens.", min=1, max=1000)] = 20,
    plain: Annotated[
        bool, typer.Option("--plain", help="Continue a question, too, without the chat template.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Let versions answer or continue a prompt, each word the likeliest one (greedy), up to the end of the line.

    A model with a chat template is asked questions (what ends in a question mark) through it, unless `[model] chat`
    says otherwise.
    """
    from kbsync.cli.context import application
    from kbsync.cli.output import emit, table

    with application(context) as app:
        wanted = version or ["base", "current"]
        numbers = [_number(app, name) for name in wanted]
        text = prompt if plain else _framed(app, prompt)
        said = {number: _continue(app, number, text, tokens) for number in dict.fromkeys(numbers)}
    answers = (AnswerView(version=n, number=i, text=said[i]) for n, i in zip(wanted, numbers, strict=True))
    view = AskView(prompt=prompt, asked="plain" if text == prompt else "chat", answers=tuple(answers))
    if json:
        return emit(view)
    return table(("version", "answer"), [(_called(a), a.text.strip()) for a in view.answers])


def _framed(app: App, prompt: str) -> str:
    """The prompt as a turn of the chat template where the settings want one, else as it is."""
    from kbsync.domain.phrasing import PLAIN, fill

    if app.frames == PLAIN:
        return prompt
    is_question = prompt.rstrip().endswith(("?", "？", "؟"))
    return fill(app.frames.held_out_question if is_question else app.frames.held_out_statement, prompt)


def _called(answer: AnswerView) -> str:
    number = str(answer.number) if answer.number else "base"
    return answer.version if answer.version == number else f"{answer.version} ({number})"


def _number(app: App, name: str) -> int:
    from kbsync.stages.release.promote import current_number

    if name == "base":
        return 0
    if name == "current":
        with app.ledger.read() as tx:
            return current_number(tx)
    if not name.isdecimal():
        raise typer.BadParameter(f"{name!r} is neither a version's number nor base or current.")
    return int(name)


def _continue(app: App, number: int, prompt: str, tokens: int) -> str:
    from kbsync.domain.errors import ModelError, NotFound

    if number == 0:
        return app.base.language_model().complete([prompt], max_new_tokens=tokens, work=app.work)[0]
    with app.ledger.read() as tx:
        version = tx.version(number)
    if version is None or version.version_hash is None:
        raise NotFound(f"Version {number} is not built.", next_step="`kbsync versions` lists what there is.")
    if version.base_fingerprint != app.base.fingerprint:
        raise ModelError(
            f"Version {number} was built on another base ({version.base_fingerprint[:12]}) than the configured one.",
            next_step="Set model.reference to the base that it was built on.",
        )
    _, delta = app.store.read(version.version_hash)
    with app.base.edited(delta) as model:
        return model.complete([prompt], max_new_tokens=tokens, work=app.work)[0]
