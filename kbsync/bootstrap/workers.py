"""The workers that a site's settings name, and what each of them is made of."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import cached_property
from pathlib import Path
from socket import gethostname
from typing import TYPE_CHECKING, Any

from kbsync.config.settings import Settings
from kbsync.domain.canonical import canonical_json
from kbsync.domain.errors import ModelError, WorkersRefused
from kbsync.ports import BaseModel, Executor, Worker

if TYPE_CHECKING:
    from kbsync.executors.worker_process import Description
    from kbsync.model.load import LoadedModel

MAKER = f"{__name__}:make"
"""Makes the worker in its process."""


class SiteWorkers(ABC):
    """The part of the application that has the base, here and on workers."""

    settings: Settings
    _closing: ExitStack

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """The base's."""

    @property
    @abstractmethod
    def loaded(self) -> LoadedModel:
        """The base with its weights."""

    @property
    @abstractmethod
    def _models(self) -> Path:
        """Where converted models are kept."""

    @cached_property
    def base(self) -> BaseModel:
        """The base model, whose weights are loaded when it is first asked or edited."""
        from kbsync.model.deferred_base import DeferredBase

        return shared(DeferredBase(self.fingerprint, lambda: self.loaded), self.executor)

    @cached_property
    def executor(self) -> Executor | None:
        """Does long work where ``[executor]`` says; None: it is done in this process.

        Nothing is connected yet. Raises ``ConfigError`` where Ray is named and not installed.
        """
        settings = self.settings.executor
        if settings.kind == "in-process":
            return None
        from kbsync.executors.connection import require_ray
        from kbsync.executors.ray_executor import RayExecutor, Resources

        require_ray()
        resources = Resources(
            workers=settings.workers,
            cpus=settings.worker_cpus,
            gpus=settings.worker_gpus,
            memory=settings.worker_memory,
        )
        made = RayExecutor(
            settings.address,
            lambda: self.worker,
            resources,
            connect_seconds=settings.connect_timeout.total_seconds(),
            task_seconds=settings.task_timeout.total_seconds(),
        )
        return self._closing.enter_context(closing(made))

    @property
    def worker(self) -> Description:
        """What each worker of this site is."""
        from kbsync.executors.worker_process import Description, versions

        model, settings = self.settings.model, self.settings.executor
        argument = {
            "reference": model.reference,
            "dtype": model.dtype,
            "device": model.device,
            "device_map": model.device_map,
            "max_memory": model.max_memory,
            "fingerprint": self.fingerprint,
            "models": settings.models_dir or str(self._models),
        }
        return Description(MAKER, canonical_json(argument), versions(), settings.worker_cpus)


def shared(base: BaseModel, by: Executor | None) -> BaseModel:
    """The base, which the workers of ``by`` answer for, too."""
    if by is None:
        return base
    from kbsync.checkpoints.factors import encode
    from kbsync.model.delta import FactorDelta
    from kbsync.model.shared_base import SharedBase

    return SharedBase(base, by, lambda delta: encode(delta) if isinstance(delta, FactorDelta) else b"")


def make(argument: str) -> Worker:
    """The worker of a site, in its own process.

    Raises:
        WorkersRefused: The base is not on this machine, or is another one.
    """
    from kbsync.model.load import load
    from kbsync.model.spread import Spread

    order: dict[str, Any] = json.loads(argument)
    reference: str = order["reference"]
    spread = Spread(order["device_map"], order["max_memory"]) if order["device_map"] else None
    try:
        loaded = load(
            reference,
            cache_dir=Path(order["models"]),
            device=order["device"],
            dtype=order["dtype"],
            spread=spread,
        )
    except ModelError as error:
        raise WorkersRefused(
            f"The worker on {gethostname()} can't load the base {reference}: {error.what}",
            next_step=f"Put it on every machine. {_here()}",
        ) from error
    if loaded.fingerprint != order["fingerprint"]:
        raise WorkersRefused(
            f"The worker on {gethostname()} has another base under {reference}: {loaded.fingerprint[:12]} instead of "
            f"{order['fingerprint'][:12]}.",
            next_step=f"Put the same files on every machine. {_here()}",
        )
    return SiteWorker(loaded)


class SiteWorker(Worker):
    """Measures covariances and searches target vectors on the base, and answers with or without a delta in place."""

    def __init__(self, loaded: LoadedModel) -> None:
        from kbsync.checkpoints.factors import decode
        from kbsync.editing.covariance.batch_tasks import COVARIANCE_TASKS, CovarianceWorker
        from kbsync.editing.memit.target_tasks import TARGET_TASKS, TargetWorker
        from kbsync.model.answer_tasks import AnswerWorker
        from kbsync.model.editable import editable

        decoder = editable(loaded.model)
        self._answers = AnswerWorker(loaded, decode)
        self._on_base: dict[str, Worker] = {
            TARGET_TASKS: TargetWorker(decoder, loaded.tokenizer),
            COVARIANCE_TASKS: CovarianceWorker(decoder),
        }

    def do(self, kind: str, shared: bytes, task: bytes, checkpoint: Callable[[], None]) -> Iterator[bytes]:
        if kind not in self._on_base:
            return self._answers.do(kind, shared, task, checkpoint)
        self._answers.put_in_place(b"")
        return self._on_base[kind].do(kind, shared, task, checkpoint)


def _here() -> str:
    from kbsync.executors.connection import WORK_HERE

    return WORK_HERE
