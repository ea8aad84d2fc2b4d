"""``kbsync probe``"""

from __future__ import annotations

import typer

from kbsync.cli.command import DryRunOption, JsonOption, verb


@verb(
    "probe",
    examples=["kbsync probe"],
    exits=[65, 74, 75],
    prints="kbsync.stages.probe:ProbeResult",
    changes="the ledger",
)
def probe(context: typer.Context, dry_run: DryRunOption = False, json: JsonOption = False) -> None:
    """Ask the base model what it believes about every fact that is due for a look.

    Each fact is asked in several phrasings ([probe] phrasings) and gets a verdict: current (the model says what holds,
    in most of them), shaky (only in some), stale (it says what held once), unknown (it says neither) or ambiguous
    (there is no one right answer to ask for). A verdict is kept with all answers, and nothing is asked twice of the
    same model.
    """
    from kbsync.cli.context import application
    from kbsync.cli.output import count, emit, say

    with application(context, dry_run=dry_run) as app, app.writer() as writer:
        result = app.stages.probe(writer)
    if json:
        return emit(result)
    say(f"{count(result.asked, 'fact')} asked" if result.asked else "already asked about every believed fact")
    say("verdicts: " + ", ".join(f"{number} {kind.value}" for kind, number in result.verdicts.items()))
    return None
