"""``kbsync init``"""

from __future__ import annotations

import json as jsonlib
import os
import re
from pathlib import Path
from typing import Annotated

import typer

from kbsync.cli.command import options, verb


@verb(
    "init",
    examples=[
        "kbsync init --user-agent 'kbsync (mailto:me@example.org)' --model google/gemma-3-270m",
        "kbsync --config /etc/kbsync/kbsync.toml init",
    ],
    exits=[74, 75],
)
def init(
    context: typer.Context,
    user_agent: Annotated[
        str, typer.Option(metavar="TEXT", help="Who asks the source; must hold an e-mail address or a URL.")
    ] = "",
    model: Annotated[str, typer.Option(metavar="REFERENCE", help="The base model: a directory or a name.")] = "",
) -> None:
    """Write the commented configuration, and create the state directory and the ledger.

    Files that exist are never changed. Where the written configuration still lacks something that only you know, the
    command names it and ends with code 78; complete the file and run it again.
    """
    from kbsync.cli.context import configuration
    from kbsync.cli.db import make_ledger
    from kbsync.cli.output import say
    from kbsync.domain.errors import ConfigError

    asked = options(context)
    file = asked.config or Path(os.environ.get("KBSYNC_CONFIG") or "kbsync.toml")
    written = write_files(file, user_agent, model)
    for path in written:
        say(f"wrote {path}")
    if not written:
        say(f"already written: {file}")
    try:
        settings = configuration(context).settings
    except ConfigError as error:
        raise ConfigError(error.problems, next_step=f"Edit {file}, then run `kbsync init` again.") from error
    made = make_directory(settings.state_dir)
    say(f"{'made' if made else 'already there:'} {settings.state_dir}")
    made = make_ledger(settings.database_url.get_secret_value())
    say(f"{'made' if made else 'already there:'} {settings.database}")


def write_files(file: Path, user_agent: str, model: str) -> list[Path]:
    """Write those shipped files that are absent, the main one as ``file``, the rest beside it; returns their paths.

    A directory of relations that exists is left as it is: a relation that was taken out must not come back.
    """
    from kbsync.config import shipped_config

    existing = {d for d in ("relations", "library", "recipes") if (file.parent / d).exists()}
    written = []
    for name, content in shipped_config().items():
        path = file if name == "kbsync.toml" else file.parent / name
        if path.exists() or name.partition("/")[0] in existing:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        filled = fill_in(content, user_agent, model) if path == file else content
        path.write_text(filled, encoding="utf-8")
        written.append(path)
    return written


def fill_in(text: str, user_agent: str, model: str) -> str:
    """Set the two keys that have no default; comments stay. A JSON string is a TOML string."""
    for key, value in (("user_agent", user_agent), ("reference", model)):
        if value:
            line = f"{key} = {jsonlib.dumps(value, ensure_ascii=False)}"
            text = re.sub(rf'(?m)^{key} = "[^"]*"(  #.*)?$', lambda _: line, text, count=1)  # noqa: B023
    return text


def make_directory(path: Path) -> bool:
    """False when it is there already."""
    if path.is_dir():
        return False
    path.mkdir(parents=True)
    return True
