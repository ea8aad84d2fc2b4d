"""``kbsync``: the commands in the order in which they are used."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from kbsync.cli.ask import ask
from kbsync.cli.audit import accept, log, verify
from kbsync.cli.backup import backup, restore
from kbsync.cli.blame import blame
from kbsync.cli.canary import canary
from kbsync.cli.check_served import check_served
from kbsync.cli.command import Options, Verb
from kbsync.cli.daemon import daemon
from kbsync.cli.db import check, upgrade
from kbsync.cli.demo import demo
from kbsync.cli.diff import diff
from kbsync.cli.doctor import doctor
from kbsync.cli.edit import edit
from kbsync.cli.evaluate import evaluate
from kbsync.cli.explain import explain
from kbsync.cli.export import export
from kbsync.cli.fact import FACTS
from kbsync.cli.facts import facts_export
from kbsync.cli.gc import gc
from kbsync.cli.images import draw as draw_images
from kbsync.cli.images import sync as sync_images
from kbsync.cli.init import init
from kbsync.cli.lease import break_lease
from kbsync.cli.notify import notify
from kbsync.cli.plan import plan
from kbsync.cli.probe import probe
from kbsync.cli.promote import promote
from kbsync.cli.pull import pull
from kbsync.cli.rebuild import rebuild
from kbsync.cli.release import release
from kbsync.cli.report import report
from kbsync.cli.research.alternatives import alternatives
from kbsync.cli.research.auto import auto
from kbsync.cli.research.capacity import capacity
from kbsync.cli.research.consequences import consequences
from kbsync.cli.research.covariance import covariance
from kbsync.cli.research.editing import counterfact, scaling, zsre
from kbsync.cli.research.mend import mend
from kbsync.cli.research.phrasings import phrasings
from kbsync.cli.research.recipe import tune
from kbsync.cli.research.refinement import refinement
from kbsync.cli.research.relations import relations
from kbsync.cli.research.scale_out import scale_out
from kbsync.cli.research.trace import trace
from kbsync.cli.research.verdicts import verdicts
from kbsync.cli.rollback import rollback
from kbsync.cli.serve import serve
from kbsync.cli.stats import build as build_stats
from kbsync.cli.status import status
from kbsync.cli.switch import switch
from kbsync.cli.sync import sync
from kbsync.cli.verify import verify as verify_versions
from kbsync.cli.versions import versions
from kbsync.system.hidden import hide, secrets_in_environment
from kbsync.system.streams import make_lossless

if TYPE_CHECKING:
    from kbsync.operations.profile import Profile

VERBS: tuple[Verb, ...] = (
    init,
    pull,
    probe,
    plan,
    edit,
    evaluate,
    report,
    promote,
    rollback,
    canary,
    check_served,
    notify,
    release,
    sync,
    status,
    versions,
    explain,
    ask,
    diff,
    blame,
    export,
    rebuild,
    verify_versions,
    gc,
    log,
    verify,
    accept,
    break_lease,
    daemon,
    serve,
    switch,
    upgrade,
    check,
    backup,
    restore,
    build_stats,
    trace,
    relations,
    tune,
    sync_images,
    draw_images,
    doctor,
    demo,
    *FACTS,
    facts_export,
    counterfact,
    zsre,
    scaling,
    covariance,
    capacity,
    refinement,
    mend,
    phrasings,
    consequences,
    auto,
    scale_out,
    verdicts,
    alternatives,
)

GROUPS = {
    "audit": "The audit trail: an append-only hash chain of every decision.",
    "bench": "Measurements that write their figures, with machine and seed, as one JSON file each.",
    "fact": "What a person decides about single facts.",
    "facts": "The believed facts as data.",
    "db": "The ledger's schema and its soundness.",
    "images": "The same cycle for a text-to-image pipeline (extra images).",
    "lease": "The leases of the processes that write.",
    "recipe": "Recipes: everything that shapes the weights beside the base and the facts.",
    "stats": "The key covariance, which says what an edit must preserve.",
}

SUMMARY = """Keep what a language model says about the world in step with Wikidata.

Statements are pulled into a ledger, the model is asked what it believes, stale beliefs become one mass edit of its
weights, and the edited model is measured and released as a new version that can be explained and taken back.

\b
Example:
  kbsync init
  kbsync sync
  kbsync status

Results go to stdout, logs and progress to stderr. Every command may be run again; it says what was done already.

\b
Exit codes:
   0  done, done already, or nothing to do
   2  wrong usage
  78  the configuration is wrong
  The help of each command lists its own.
"""


def build(verbs: Sequence[Verb] = VERBS, help: str = SUMMARY) -> typer.Typer:
    """A command line of these verbs; by default kbsync's own."""
    app = typer.Typer(name="kbsync", cls=_Commands, help=help, no_args_is_help=True, rich_markup_mode=None)
    app.callback()(root)
    groups: dict[str, typer.Typer] = {}
    names = {verb.name for verb in verbs}
    for verb in verbs:
        group, _, name = verb.name.rpartition(" ")
        if group in names:  # `trace relations` beside `trace`
            group, name = "", verb.name
        if group and group not in groups:
            groups[group] = typer.Typer(help=GROUPS[group], no_args_is_help=True, rich_markup_mode=None)
            app.add_typer(groups[group], name=group)
        (groups[group] if group else app).command(name, help=verb.help, short_help=verb.summary)(verb.function)
    return app


class _Commands(TyperGroup):
    """Commands of which one may be called as another and a second word: `trace` and `trace relations`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Take two words for the name where there is such a command."""
        both = " ".join(args[:2])
        return super().resolve_command(ctx, [both, *args[2:]] if both in self.commands else args)


def root(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="PATH",
            help="The main configuration file. Default: $KBSYNC_CONFIG, else kbsync.toml, else config/kbsync.toml.",
        ),
    ] = None,
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="Show no progress, and log errors only; sync prints only what happened."),
    ] = False,
    profile: Annotated[
        bool,
        typer.Option(
            "--profile",
            help="At the end, a table on stderr of where the time went: each step's seconds, operations and bytes, "
            "beside what this machine can do.",
        ),
    ] = False,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=lambda asked: _show_version(asked), is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    # Taken out of the environment, where the configuration would call it a misspelt setting.
    debug = bool(os.environ.pop("KBSYNC_DEBUG", ""))
    hide(secrets_in_environment(os.environ))
    context.obj = Options(config=config, quiet=quiet, debug=debug, profile=_profile() if profile else None)


def _profile() -> Profile:
    from kbsync.operations.profile import Profile

    return Profile()


def _show_version(asked: bool) -> None:
    if asked:
        from kbsync import __version__

        typer.echo(f"kbsync {__version__}")
        raise typer.Exit


def run() -> None:
    """The entry point of the ``kbsync`` script."""
    make_lossless(sys.stdout, sys.stderr)
    build()(prog_name="kbsync")
