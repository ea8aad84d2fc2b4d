"""A version in the forms in which it is served, for the gate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from kbsync.config.settings import Settings
from kbsync.domain.announcement import Announcement
from kbsync.domain.errors import EditError, ModelError, NotifierFailed
from kbsync.domain.served_form import BLOCKS, FLOATS
from kbsync.ports import Delta
from kbsync.stages.evaluate.served import Complete

if TYPE_CHECKING:
    from kbsync.model.load import LoadedModel

Opened = Callable[[Delta], AbstractContextManager[Complete]]
"""Puts a delta in place in one form, and yields what asks it."""
_START_SECONDS = 300.0


def served_forms(settings: Settings, loaded: Callable[[], LoadedModel]) -> dict[str, Opened]:
    """By its name, each form of ``[evaluate] served_as``; nothing is loaded yet."""
    return {form: partial(_asked_by(form), form, settings, loaded) for form in settings.evaluate.served_as}


def _asked_by(form: str) -> Callable[..., AbstractContextManager[Complete]]:
    return _converted if form in FLOATS else _rounded if form in BLOCKS else _llama


@contextmanager
def _converted(form: str, settings: Settings, loaded: Callable[[], LoadedModel], delta: Delta) -> Iterator[Complete]:
    """A copy of the edited model in another dtype, which it also computes in; it takes memory beside the base."""
    import copy

    from kbsync.model.delta import FactorDelta, applied
    from kbsync.model.language_model import TorchLanguageModel
    from kbsync.model.load import DTYPES

    base = loaded()
    if not isinstance(delta, FactorDelta):
        raise EditError("Only low-rank factors can be rounded.")
    with applied(base.model, delta):
        model = copy.deepcopy(base.model).to(DTYPES[form])  # type: ignore[arg-type]
    asked = TorchLanguageModel(model, base.tokenizer, f"{base.fingerprint} {form}")
    yield lambda prompts: asked.complete(prompts, max_new_tokens=settings.model.base_answer_tokens)


@contextmanager
def _rounded(form: str, settings: Settings, loaded: Callable[[], LoadedModel], delta: Delta) -> Iterator[Complete]:
    """The edited model with all matrices rounded; they take memory beside the base."""
    from kbsync.model.delta import FactorDelta, applied
    from kbsync.model.language_model import TorchLanguageModel
    from kbsync.model.rounding import in_place, rounded_weights

    base = loaded()
    if not isinstance(delta, FactorDelta):
        raise EditError("Only low-rank factors can be rounded.")
    asked = TorchLanguageModel(base.model, base.tokenizer, f"{base.fingerprint} {form}")
    with applied(base.model, delta), in_place(base.model, rounded_weights(base.model, form)):
        yield lambda prompts: asked.complete(prompts, max_new_tokens=settings.model.base_answer_tokens)


@contextmanager
def _llama(form: str, settings: Settings, loaded: Callable[[], LoadedModel], delta: Delta) -> Iterator[Complete]:
    """A real llama.cpp with the version as a GGUF file."""
    from kbsync.checkpoints.exporters.form import GGUF, GGUF_LORA, ExportForm
    from kbsync.checkpoints.exporters.write import write_export
    from kbsync.model.delta import FactorDelta
    from kbsync.notifiers.llama import LlamaEngine

    if not isinstance(delta, FactorDelta):
        raise EditError("Only low-rank factors can be written as GGUF.")
    release, base = settings.release, loaded()
    kind, _, adapter = form.partition("+")
    if adapter:
        _require_type(kind, base.reference, release.gguf)
    wanted = ExportForm(
        format=GGUF_LORA if adapter or form == GGUF_LORA else GGUF, type=release.type, gguf=release.gguf
    )
    command: Sequence[str] = settings.evaluate.server or (release.engine.command if release.engine else ())
    with TemporaryDirectory() as scratch:
        directory = Path(scratch) / "version"
        write_export(base, delta, directory, wanted, {})
        engine = LlamaEngine(
            command, Path(scratch), _START_SECONDS, 0, settings.model.base_answer_tokens, lambda *_: ()
        )
        told = Announcement(
            alias="trial",
            move=0,
            version=1,
            hash=None,
            moved_at=datetime.now(UTC),
            path=str(directory),
            directory=str(directory),
        )
        try:
            with engine.trial(told) as ask:
                yield ask
        except NotifierFailed as error:
            raise ModelError(error.what, next_step="Check evaluate.server, or leave the form out.") from error


def _require_type(kind: str, reference: str, named: Path | None) -> None:
    """Refuse a form that names another type than the base's GGUF file has."""
    from tempfile import gettempdir

    from kbsync.model.gguf_source import base_gguf, needed

    with base_gguf(reference, named, Path(gettempdir())) as base:
        counts = Counter(t.type_name.lower() for t in needed(base).tensors if len(t.shape) == 2)
    most = counts.most_common(1)[0][0]
    if not kind.startswith(most):
        raise ModelError(
            f"evaluate.served_as names {kind}+lora, and most matrices of the base's GGUF file are {most}.",
            next_step="Name the type of the file that is served, or set release.gguf to that file.",
        )
