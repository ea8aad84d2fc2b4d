"""A copy of a model's own files with some of their tensors replaced: as fast as copying."""

from __future__ import annotations

import hashlib
import json
import mmap
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kbsync.model.model_files import TEMPLATE_FILE, TOKENIZER_FILES, WEIGHTS_INDEX, weight_files
from kbsync.system.durable import sync

DTYPES = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16", torch.float64: "F64"}
BESIDE = ("config.json", "generation_config.json", TEMPLATE_FILE, WEIGHTS_INDEX, *TOKENIZER_FILES)


@dataclass(frozen=True, slots=True)
class Patch:
    """New bytes for one tensor of a file."""

    offset: int
    """Where the tensor begins in the file."""
    before: memoryview
    """Its bytes as they must be there."""
    data: memoryview
    """As many bytes in their place."""


def write_patched(
    directory: Path, target: Path, before: Mapping[str, Tensor], after: Mapping[str, Tensor]
) -> dict[str, str] | None:
    """Copy a model with some of its tensors replaced.

    Args:
        directory: The model's own safetensors files, configuration and tokenizer.
        target: An existing directory for the copy.
        before: By parameter, the tensors as they were loaded.
        after: By parameter, what takes their place; same shapes and dtypes.

    Returns:
        The SHA-256 of each weight file by name; a file is hashed while it is copied. None, with nothing written, where
        the files don't hold ``before`` byte for byte, or hold any tensor in another dtype: the weights in memory are
        then not those of the files. Of the other tensors only the dtype is compared.

    Raises:
        OSError: A file can't be read or written.
    """
    patched = _plan(directory, before, after) if directory.is_dir() else None
    if patched is None:
        return None
    with ThreadPoolExecutor(2) as pool:
        copies = [pool.submit(_copy, source, target / source.name, patches) for source, patches in patched.items()]
        hashes = {source.name: pool.submit(_digest, source, patches) for source, patches in patched.items()}
        for copy in copies:
            copy.result()
        digests = {name: digest.result() for name, digest in hashes.items()}
    for name in BESIDE:
        if (directory / name).is_file():
            shutil.copyfile(directory / name, target / name)
    return digests


def _plan(directory: Path, before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> dict[Path, list[Patch]] | None:
    """Patches by file, in the order of their offsets; None where the files are not those of the weights."""
    dtypes = {DTYPES.get(t.dtype) for t in after.values()}
    patched: dict[Path, list[Patch]] = {}
    missing = set(after)
    for path in weight_files(directory):
        start, header = _header(path)
        if {entry["dtype"] for entry in header.values()} != dtypes:
            return None
        patches = [
            Patch(start + header[n]["data_offsets"][0], _bytes(before[n]), _bytes(after[n]))
            for n in header.keys() & missing
        ]
        patched[path] = sorted(patches, key=lambda patch: patch.offset)
        missing -= header.keys()
        if not _holds(path, patched[path]):
            return None
    return None if missing else patched


def _header(path: Path) -> tuple[int, dict[str, Any]]:
    """Where the data begins, and the header's entry for each tensor (the safetensors format)."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    return 8 + length, header


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data


def _holds(path: Path, patches: Sequence[Patch]) -> bool:
    """Whether the file holds at every patch the bytes that it replaces."""
    with _mapped(path) as data:
        return all(data[p.offset : p.offset + len(p.before)].tobytes() == p.before.tobytes() for p in patches)


def _copy(source: Path, target: Path, patches: Sequence[Patch]) -> None:
    shutil.copyfile(source, target)
    with target.open("r+b") as file:
        for patch in patches:
            file.seek(patch.offset)
            file.write(patch.data)
    sync(target)


def _digest(source: Path, patches: Sequence[Patch]) -> str:
    """SHA-256 of what ``_copy`` writes."""
    digest, at = hashlib.sha256(), 0
    with _mapped(source) as data:
        for patch in patches:
            digest.update(data[at : patch.offset])
            digest.update(patch.data)
            at = patch.offset + len(patch.data)
        digest.update(data[at:])
    return digest.hexdigest()


@contextmanager
def _mapped(path: Path) -> Iterator[memoryview]:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        view = memoryview(mapped)
        try:
            yield view
        finally:
            view.release()
