"""Asks a server what it says of a version's facts."""

from __future__ import annotations

from kbsync.bootstrap import App
from kbsync.domain.errors import ConfigError, NotFound
from kbsync.stages.evaluate.served import NOTHING, Complete, ServedCheck, check_served, served_prompts
from kbsync.stages.evaluate.served_figures import known_names
from kbsync.stages.facts import believed_facts
from kbsync.stages.release.promote import current_number


def check(app: App, complete: Complete, number: int | None = None, sample: int | None = None) -> ServedCheck:
    """Ask the gate's prompts of a version, and judge the answers as the gate did.

    Args:
        complete: Asks the server.
        number: The version that is to be served; None: the current one.
        sample: Largest number of prompts of each group; None: all.

    Raises:
        NotFound: The version was not measured.
        ServerDown: The server can't be reached, or does not answer in time.
        ServerError: It refuses, or its answer is none.
    """
    with app.ledger.read() as tx:
        number = current_number(tx) if number is None else number
        if number == 0:
            return NOTHING
        evaluation = tx.evaluation(number)
        facts = believed_facts(tx, app.relations, "")
    if evaluation is None or not evaluation.outcomes:
        raise NotFound(f"Version {number} was not measured.", next_step=f"`kbsync evaluate {number}` measures it.")
    policy = app.stages.settings.gate
    return check_served(complete, evaluation, served_prompts(evaluation, policy, sample), policy, known_names(facts))


def configured_server(app: App) -> Complete:
    """Asks the server that ``[served]`` names. Raises ``ConfigError`` where it names none."""
    if app.served is None:
        raise ConfigError(["served.url is not set, and a server is to be asked"])
    return app.served
