"""``kbsync init``"""

from __future__ import annotations

import json as jsonlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from kbsync.cli.command import DryRunOption, JsonOption, options, verb


@dataclass(frozen=True, slots=True, kw_only=True)
class InitView:
    """``written`` files, and whether state directory and ledger were ``made`` (or would be, of a dry run; both are null
    while the configuration that names them is still to be written)."""

    written: tuple[str, ...]
    state_dir: str | None
    state_dir_made: bool | None
    database: str | None
    database_made: bool | None


@verb(
    "init",
    examples=[
        "kbsync init --user-agent 'kbsync (mailto:me@example.org)' --model google/gemma-3-270m",
        "kbsync --config /etc/kbsync/kbsync.toml init",
    ],
    exits=[74, 75],
    prints="kbsync.cli.init:InitView",
    changes="files, the ledger",
)
def init(
    context: typer.Context,
    user_agent: Annotated[
        str, typer.Option(metavar="TEXT", help="Who asks the source; must hold an e-mail address or a URL.")
    ] = "",
    model: Annotated[str, typer.Option(metavar="REFERENCE", help="The base model: a directory or a name.")] = "",
    endpoint: Annotated[
        str, typer.Option(metavar="URL", help="Where to ask, instead of Wikidata's public query service.")
    ] = "",
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Write the commented configuration, and create the state directory and the ledger.

    For the model that kbsync ships a recipe for, `edit.recipe` names that recipe; for any other it is "auto": the first
    sync finds one. Files that exist are never changed. If the written configuration lacks something that only you know,
    the command names it and ends with code 78; complete the file and run it again.
    """
    from kbsync.cli.output import emit

    file = options(context).config or Path(os.environ.get("KBSYNC_CONFIG") or "kbsync.toml")
    written = tuple(str(path) for path in write_files(file, user_agent, model, endpoint, dry_run=dry_run))
    if dry_run and not file.exists():
        view = InitView(written=written, state_dir=None, state_dir_made=None, database=None, database_made=None)
    else:
        view = _make(context, file, written, dry_run=dry_run, json=json)
    return emit(view) if json else show(view, file, dry_run=dry_run)


def _make(context: typer.Context, file: Path, written: tuple[str, ...], *, dry_run: bool, json: bool) -> InitView:
    """Make what the configuration names."""
    from kbsync.cli.context import configuration
    from kbsync.domain.errors import ConfigError
    from kbsync.ledger import schema

    try:
        settings = configuration(context).settings
    except ConfigError as error:
        for path in written:
            typer.echo(f"wrote {path}", err=json)
        raise ConfigError(error.problems, next_step=f"Edit {file}, then run `kbsync init` again.") from error
    state, url = settings.state_dir, settings.database_url.get_secret_value()
    made, ledger = not state.is_dir(), schema.revision_at(url) != schema.REVISION
    if not dry_run:
        state.mkdir(parents=True, exist_ok=True)
        if ledger:
            schema.upgrade(url)
    return InitView(
        written=written,
        state_dir=str(state),
        state_dir_made=made,
        database=settings.database,
        database_made=ledger,
    )


def show(view: InitView, file: Path, *, dry_run: bool) -> None:
    from kbsync.cli.output import say

    would = "would be " if dry_run else ""
    for path in view.written:
        say(f"would write {path}" if dry_run else f"wrote {path}")
    if not view.written:
        say(f"already written: {file}")
    for what, made in ((view.state_dir, view.state_dir_made), (view.database, view.database_made)):
        if what is not None:
            say(f"{would + 'made' if made else 'already there'}: {what}")
    if view.state_dir is None:
        say("then state directory and ledger are made, where this configuration says")


def write_files(file: Path, user_agent: str, model: str, endpoint: str = "", *, dry_run: bool = False) -> list[Path]:
    """Write those shipped files that are absent, the main one as ``file``, the rest beside it; returns their paths.

    A directory of relations that exists is left as it is: a relation that was taken out must not come back.
    """
    from kbsync.config import shipped_config
    from kbsync.system.durable import write_for_people

    existing = {d for d in ("relations", "library", "recipes") if (file.parent / d).exists()}
    written = []
    for name, content in shipped_config().items():
        path = file if name == "kbsync.toml" else file.parent / name
        if path.exists() or name.partition("/")[0] in existing:
            continue
        written.append(path)
        if dry_run:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        filled = fill_in(content, user_agent, model, endpoint) if path == file else content
        write_for_people(path, filled.encode())
    return written


def fill_in(text: str, user_agent: str, model: str, endpoint: str = "") -> str:
    """Set the keys that are given; comments stay.

    The recipe in the shipped text was measured for the model in it. For another model the line says ``auto``.
    """
    from kbsync.config.recipe_file import AUTO

    recipe = AUTO if model and model != _value(text, "reference") else ""
    given = (("user_agent", user_agent), ("reference", model), ("endpoint", endpoint), ("recipe", recipe))
    for key, value in given:
        if value:
            line = f"{key} = {jsonlib.dumps(value, ensure_ascii=False)}"  # a JSON string is a TOML string
            text = re.sub(_line_of(key), lambda _: line, text, count=1)  # noqa: B023
    return text


def _value(text: str, key: str) -> str:
    found = re.search(_line_of(key), text)
    return found["value"] if found else ""


def _line_of(key: str) -> str:
    return rf'(?m)^(?:# )?{key} = "(?P<value>[^"]*)"(?:  +#.*)?$'
