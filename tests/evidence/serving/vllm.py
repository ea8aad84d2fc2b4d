"""A running vLLM that is given versions by its own interface, under load, killed between the steps, and asked.

vLLM is not started here: its wheels for the CPU bring a torch of their own, so it runs in an environment of its own.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import torch

from kbsync.bootstrap import App
from kbsync.checkpoints.exporters.form import ExportForm
from kbsync.checkpoints.exporters.write import write_export
from kbsync.domain.announcement import Announcement
from kbsync.domain.errors import NotifierFailed
from kbsync.domain.version import Evaluation, PromptOutcome
from kbsync.model.delta import FactorDelta
from kbsync.notifiers.engine import VllmEngine
from kbsync.notifiers.openai import OpenAiServer
from kbsync.operations.evidence import Figure, at_least, at_most, evidence
from kbsync.stages.evaluate.question import EDITED, UNTOUCHED
from kbsync.stages.evaluate.served import Complete, check_served, served_prompts
from kbsync.stages.release.canary import choose_canaries, lost_canaries
from kbsync.system import http
from tests.evidence.messages import say
from tests.support.request_load import RequestLoad
from tests.support.swapping import Killed

COMMAND = "python -m tests.evidence serving-vllm"
ADAPTER = "kbsync"
CANARIES = 3
_TOGETHER = 4
_TIMEOUT = 120.0


class MortalVllm(VllmEngine):
    """Dies before the request of this number; 0: never."""

    dies_at = 0
    requests = 0

    def _post(self, *args: Any, **more: Any) -> None:
        self.requests += 1
        if self.requests == self.dies_at:
            raise Killed
        super()._post(*args, **more)


REQUESTS = 4
"""Of one swap: unload and load under a name of its own, load in the place of the old one, unload the first name."""


class Vllm:
    """Two versions, and the server that is given them."""

    def __init__(self, app: App, url: str, numbers: tuple[int, int], root: Path) -> None:
        self.app, self.url, self.numbers, self.root = app, url, numbers, root
        self.moves = 0
        with app.ledger.read() as tx:
            versions = [tx.version(n) for n in numbers]
            evaluations = [tx.evaluation(n) for n in numbers]
        self.deltas = [app.store.read(v.version_hash or "")[1] for v in versions if v is not None]
        self.evaluations: dict[int, Evaluation] = {
            n: e for n, e in zip(numbers, evaluations, strict=True) if e is not None
        }
        for number, delta in zip(numbers, self.deltas, strict=True):
            self.write(f"{number}", delta)

    def write(self, name: str, delta: FactorDelta) -> Path:
        form = ExportForm(format="lora", dtype="bfloat16", base_name=self.app.settings.model.name)
        write_export(self.app.loaded, delta, self.root / name, form, {})
        return self.root / name

    def move(self, number: int, *, directory: Path | None = None, dies_at: int = 0) -> float:
        """Give the server a version; the seconds that it took."""
        self.moves += 1
        begun, tokens = time.monotonic(), self.app.settings.model.base_answer_tokens
        engine = MortalVllm(self.url, ADAPTER, "", _TIMEOUT, tokens, self.lost)
        engine.dies_at = dies_at
        told = Announcement(
            alias="current",
            move=self.moves,
            version=number,
            hash=None,
            moved_at=datetime.now(UTC),
            path=str(self.root / "current"),
            directory=str(directory or self.root / f"{number}"),
        )
        engine.deliver(told)
        return time.monotonic() - begun

    def lost(self, version: int, complete: Complete) -> Sequence[str]:
        chosen = choose_canaries(self.evaluations[version], CANARIES)
        return lost_canaries(chosen, complete([canary.prompt for canary in chosen]))

    def telling(self) -> PromptOutcome:
        """A fact that the newer version answers otherwise than the older one."""
        for outcome in self.evaluations[self.numbers[1]].outcomes:
            if outcome.group == EDITED and outcome.right and outcome.previous_right is False:
                return outcome
        raise AssertionError("both versions say the same")

    def serves(self, number: int) -> bool:
        """Whether clients get what this version says."""
        outcome = self.telling()
        tokens = self.app.settings.model.base_answer_tokens
        (answer,) = OpenAiServer(self.url, ADAPTER, timeout=_TIMEOUT).complete([outcome.prompt], tokens)
        is_new = not lost_canaries([outcome], [answer])
        say(f"  {outcome.prompt!r} -> {answer!r}")
        return is_new == (number == self.numbers[1])

    def refuses(self, number: int, directory: Path) -> bool:
        """Whether the engine refuses what stands in ``directory``, and the version before it still answers."""
        try:
            self.move(number, directory=directory)
        except NotifierFailed as error:
            say(f"  {error.what}")
            return True
        return False

    def complete(self) -> Complete:
        def ask(prompts: Sequence[str]) -> list[str]:
            server, tokens = (
                OpenAiServer(self.url, ADAPTER, timeout=_TIMEOUT),
                self.app.settings.model.base_answer_tokens,
            )
            one: Callable[[str], str] = lambda prompt: server.complete([prompt], tokens)[0]  # noqa: E731
            with ThreadPoolExecutor(_TOGETHER) as pool:
                return list(pool.map(one, prompts))

        return ask


def measure_vllm(
    app: App, url: str, numbers: tuple[int, int], moves: int, sample: int | None, record: Path
) -> dict[str, Any]:
    """The evidence.

    Args:
        app: The demonstration.
        url: A vLLM that serves its base, with ``--enable-lora --max-lora-rank 128`` and
            ``VLLM_ALLOW_RUNTIME_LORA_UPDATING=1``, and can read this machine's files.
        numbers: An older version and a newer one.
        moves: Moves between them under load.
        sample: At most so many prompts of each group; None: all.
        record: Keeps the result of each part, by which an interrupted run goes on.
    """
    started = datetime.now(UTC)
    known: dict[str, Any] = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
    with tempfile.TemporaryDirectory() as scratch:
        served = Vllm(app, url, numbers, Path(scratch))
        parts: dict[str, Callable[[], list[Figure]]] = {
            "swaps": lambda: _swaps(served, moves),
            "refusals": lambda: _refusals(served),
            "answers": lambda: _asked(served, numbers[1], sample),
        }
        for name in [part for part in parts if part not in known]:
            begun = time.monotonic()
            figures = [asdict(figure) for figure in parts[name]()]
            known[name] = {"figures": figures, "seconds": time.monotonic() - begun}
            record.write_text(json.dumps(known, indent=1), encoding="utf-8")
        served.move(0)  # vLLM would die of an adapter whose directory is gone
    with http.client({}, _TIMEOUT) as client:
        version = client.get(f"{url}/version").json().get("version")
    return evidence(
        COMMAND,
        [Figure(**figure) for part in parts for figure in known[part]["figures"]],
        seed=0,
        started=started,
        seconds=sum(part["seconds"] for part in known.values()),
        vllm=version,
        version=numbers[1],
        sample=sample,
        base=app.loaded.reference,
    )


def _swaps(served: Vllm, moves: int) -> list[Figure]:
    """Moves under load, then swaps that are killed at each of their requests and done again."""
    served.move(served.numbers[0])
    lost, seconds = int(not served.serves(served.numbers[0])), []
    load = RequestLoad(served.url, ADAPTER, served.telling().prompt)
    with load:
        for move in range(moves):
            number = served.numbers[(move + 1) % 2]
            seconds.append(served.move(number))
            lost += not served.serves(number)
        for step in range(1, REQUESTS + 1):
            number = served.numbers[(moves + step) % 2]
            with contextlib.suppress(Killed):
                served.move(number, dies_at=step)
            served.move(number)
            lost += not served.serves(number)
    say(f"{load.requests} requests, errors {load.errors[:3]}")
    return [
        at_most("vllm.swap.errors", len(load.errors), f"of {load.requests} requests", 0),
        Figure("vllm.swap.moves", moves, "moves"),
        Figure("vllm.swap.seconds", round(median(seconds), 2), "s"),
        Figure("vllm.swap.kills", REQUESTS, "kills"),
        at_most("vllm.swap.lost", lost, "moves", 0),
    ]


def _refusals(served: Vllm) -> list[Figure]:
    """A rank beyond the server's, an adapter that does not answer its canaries, and one that is not there."""
    old, new = served.numbers
    served.move(old)
    wide = {name: _padded(*factors, 129) for name, factors in served.deltas[1].factors.items()}
    # Δ in the other direction: its canaries fail.
    turned = {name: (-left, right) for name, (left, right) in served.deltas[1].factors.items()}
    refused = [
        served.refuses(new, served.write("wide", FactorDelta(wide))),
        served.refuses(new, served.write("turned", FactorDelta(turned))),
        served.refuses(new, served.root / "nothing"),
    ]
    return [at_least("vllm.refused", sum(refused) if served.serves(old) else 0, f"of {len(refused)}", len(refused))]


def _padded(left: torch.Tensor, right: torch.Tensor, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The same product in factors of a higher rank."""
    more = rank - left.shape[1]
    return torch.nn.functional.pad(left, (0, more)), torch.nn.functional.pad(right, (0, 0, 0, more))


def _asked(served: Vllm, number: int, sample: int | None) -> list[Figure]:
    """The version's edited facts and neighbours, judged as the gate judges."""
    served.move(number)  # what was before left the older version in place
    assert served.serves(number)
    evaluation = served.evaluations[number]
    chosen = served_prompts(evaluation, (), sample, only=(EDITED, *UNTOUCHED))
    result = check_served(served.complete(), evaluation, chosen, served.app.stages.settings.gate, {})
    shares = {f.name: f for f in result.figures}
    own = sum(o.right for o in chosen if o.group == EDITED)
    edited, neighbours = shares["efficacy"], shares["specificity"]
    return [
        Figure("kbsync.edited", own, f"of {edited.samples}"),
        Figure("kbsync.neighbours", sum(o.right for o in chosen if o.group != EDITED), f"of {neighbours.samples}"),
        at_least("vllm.edited", round(edited.served * edited.samples), f"of {edited.samples}", own - 1),
        Figure("vllm.neighbours", round(neighbours.served * neighbours.samples), f"of {neighbours.samples}"),
    ]
