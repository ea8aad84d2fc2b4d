"""A copy of a model's own files with some of their tensors replaced: whatever was not edited stays byte for byte."""

from __future__ import annotations

import hashlib
import json
import mmap
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kbsync.model.model_files import other_files, weight_files
from kbsync.model.stored_dtypes import STORED_DTYPES
from kbsync.system.durable import make_directory, sync

NAMES = {dtype: name for name, dtype in STORED_DTYPES.items()}
_ALIGNED = 8
"""The header's length is a multiple of it, as safetensors writes it."""


@dataclass(frozen=True, slots=True)
class TensorFile:
    """A safetensors file that is open for reading."""

    path: Path
    data: memoryview
    """The whole file."""
    start: int
    """Where the tensors begin."""
    header: dict[str, Any]
    """By name, each tensor's ``dtype``, ``shape`` and ``data_offsets``, which count from ``start``; ``__metadata__`` is
    not one."""

    def stored(self, name: str) -> memoryview:
        """A tensor's bytes."""
        begin, end = self.header[name]["data_offsets"]
        return self.data[self.start + begin : self.start + end]

    def holds(self, name: str, tensor: Tensor) -> bool:
        """Whether the tensor of this name is ``tensor``, as it is or rounded to the dtype of ``tensor``."""
        entry = self.header[name]
        if entry["dtype"] not in STORED_DTYPES or entry["shape"] != list(tensor.shape) or not tensor.numel():
            return False
        raw = torch.frombuffer(bytearray(self.stored(name)), dtype=STORED_DTYPES[entry["dtype"]])
        return torch.equal(raw.to(tensor.dtype), tensor.detach().cpu().flatten())


def write_patched(
    directory: Path, target: Path, before: Mapping[str, Tensor], after: Mapping[str, Tensor]
) -> dict[str, str] | None:
    """Copy a model with some of its tensors replaced.

    A tensor that is replaced has the dtype of what replaces it; every other tensor has the file's own. So a base in
    bfloat16 that is edited in float32 gives files that are exact and hardly larger.

    Args:
        directory: The model's own safetensors files, configuration and tokenizer.
        target: An existing directory for the copy.
        before: By parameter, the tensors as they were loaded. Which tensor of the files each of them is, is found by
            its numbers: a file's names may differ from the model's.
        after: By parameter, what takes their place; same shapes and dtypes.

    Returns:
        The SHA-256 of each weight file by name; a file is hashed while it is copied. None, with nothing written, where
        the files don't hold ``before``: the weights in memory are then not those of the files.

    Raises:
        OSError: A file can't be read or written.
    """
    if not directory.is_dir():
        return None
    with ExitStack() as stack:
        files = [stack.enter_context(_opened(path)) for path in weight_files(directory)]
        places = _places(files, before)
        if places is None:
            return None
        segments = {
            file.path: list(_segments(file, {s: after[p] for s, p in places[file.path].items()})) for file in files
        }
        try:
            digests = _written(target, segments)
        finally:
            for part in chain.from_iterable(segments.values()):
                part.release()
    copy_others(directory, target)
    return digests


def copy_others(directory: Path, target: Path) -> None:
    """Copy what a model consists of besides its weights, byte for byte."""
    for name in other_files(directory):
        make_directory((target / name).parent)
        shutil.copyfile(directory / name, target / name)


def _written(target: Path, segments: Mapping[Path, Sequence[memoryview]]) -> dict[str, str]:
    """Write files below ``target``; returns the digest of each by its name."""
    with ThreadPoolExecutor(2) as pool:
        copies = [pool.submit(_write, target / path.name, parts) for path, parts in segments.items()]
        hashes = {path.name: pool.submit(_digest, parts) for path, parts in segments.items()}
        for copy in copies:
            copy.result()
        return {name: digest.result() for name, digest in hashes.items()}


def _places(files: Sequence[TensorFile], before: Mapping[str, Tensor]) -> dict[Path, dict[str, str]] | None:
    """By file, the names of tensors that are parameters, and which; None where one of the parameters is in no file."""
    places: dict[Path, dict[str, str]] = {file.path: {} for file in files}
    for parameter, tensor in before.items():
        alike = (
            (file, name) for file in files for name in file.header if file.header[name]["shape"] == [*tensor.shape]
        )
        for file, name in sorted(alike, key=lambda found: _common_end(parameter, found[1]), reverse=True):
            if name not in places[file.path] and file.holds(name, tensor):
                places[file.path][name] = parameter
                break
        else:
            return None
    return places


def _common_end(one: str, other: str) -> int:
    """The number of parts at the end of two names that are the same."""
    pairs = zip(reversed(one.split(".")), reversed(other.split(".")), strict=False)
    same = [a == b for a, b in pairs]
    return same.index(False) if False in same else len(same)


def _segments(file: TensorFile, replaced: Mapping[str, Tensor]) -> Iterator[memoryview]:
    """The new file's bytes: of the file itself, but for the tensors that are replaced."""
    if all(NAMES[tensor.dtype] == file.header[name]["dtype"] for name, tensor in replaced.items()):
        at = 0
        for name in sorted(replaced, key=lambda name: file.header[name]["data_offsets"][0]):
            begin, end = (file.start + offset for offset in file.header[name]["data_offsets"])
            yield file.data[at:begin]
            yield _bytes(replaced[name])
            at = end
        yield file.data[at:]
        return
    parts = {name: _bytes(replaced[name]) if name in replaced else file.stored(name) for name in file.header}
    dtypes = {name: NAMES[t.dtype] for name, t in replaced.items()}
    header, order = _laid_out(file, {name: len(part) for name, part in parts.items()}, dtypes)
    yield memoryview(header)
    yield from (parts[name] for name in order)


def _laid_out(file: TensorFile, sizes: Mapping[str, int], dtypes: Mapping[str, str]) -> tuple[bytes, list[str]]:
    """A header for tensors of these sizes and dtypes, and their order: wide numbers first, so that all are aligned."""
    entries = {name: entry | {"dtype": dtypes.get(name, entry["dtype"])} for name, entry in file.header.items()}
    width = {n: sizes[n] // max(1, torch.Size(e["shape"]).numel()) for n, e in entries.items()}
    order = sorted(entries, key=lambda name: (-width[name], entries[name]["data_offsets"][0]))
    at = 0
    for name in order:
        entries[name]["data_offsets"] = [at, at := at + sizes[name]]
    metadata = json.loads(bytes(file.data[8 : file.start])).get("__metadata__")
    whole = ({"__metadata__": metadata} if metadata else {}) | {name: entries[name] for name in order}
    text = json.dumps(whole, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNED)
    return len(text).to_bytes(8, "little") + text, order


@contextmanager
def _opened(path: Path) -> Iterator[TensorFile]:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        view = memoryview(mapped)
        try:
            start = 8 + int.from_bytes(view[:8], "little")
            header = json.loads(bytes(view[8:start]))
            header.pop("__metadata__", None)
            yield TensorFile(path, view, start, header)
        finally:
            view.release()


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data


def _write(target: Path, segments: Sequence[memoryview]) -> None:
    with target.open("wb") as file:
        for segment in segments:
            file.write(segment)
    sync(target)


def _digest(segments: Sequence[memoryview]) -> str:
    digest = hashlib.sha256()
    for segment in segments:
        digest.update(segment)
    return digest.hexdigest()
