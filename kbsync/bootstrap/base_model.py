"""The base model that a site names: its weights, and how it is asked."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from kbsync.config.settings import ModelSettings
from kbsync.domain.phrasing import PLAIN, Frames
from kbsync.ports import Work
from kbsync.system.durable import make_directory, write_file

if TYPE_CHECKING:
    from kbsync.model.load import LoadedModel

FRAMES_FILE = "frames.json"
"""In the directory of converted models: how the base was asked last."""


def load_base(settings: ModelSettings, cache_dir: Path, frames: Frames, work: Work) -> LoadedModel:
    """Load the weights.

    Raises:
        ModelError: They can't be loaded or can't be edited (so nobody probes for an hour before that is said), or the
            tokenizer asks in another way than ``frames``.
    """
    from kbsync.model.chat import require_frames
    from kbsync.model.editable import editable
    from kbsync.model.load import load
    from kbsync.model.spread import Spread

    loaded = load(
        settings.reference,
        cache_dir=cache_dir,
        device=settings.device,
        dtype=settings.dtype,
        spread=Spread(settings.device_map, settings.max_memory) if settings.device_map else None,
        work=work,
    )
    editable(loaded.model)
    require_frames(loaded.tokenizer, frames, settings.chat, settings.system)
    return loaded


def base_frames(settings: ModelSettings, cache_dir: Path, work: Work) -> Frames:
    """How the base model is asked, by the chat template among its files; raises ``ModelError`` as ``chat_frames`` does.

    It is remembered for ``remembered_frames``.
    """
    from kbsync.model.chat import chat_frames
    from kbsync.model.digests import digests_in
    from kbsync.model.reference import model_directory

    if settings.chat == "never":
        return PLAIN
    directory = model_directory(settings.reference, cache_dir, digests_in(cache_dir), work)
    frames = chat_frames(directory, settings.chat, settings.system)
    if remembered_frames(settings, cache_dir) != frames:
        entry = {"of": _asked_like_this(settings), "frames": asdict(frames)}
        make_directory(cache_dir)
        write_file(cache_dir / FRAMES_FILE, json.dumps(entry, indent=1).encode())
    return frames


def remembered_frames(settings: ModelSettings, cache_dir: Path) -> Frames:
    """How the base was asked last: what reports need, which neither look for the model nor fetch it.

    Nothing is remembered before the base is asked for the first time, and then there is no verdict to report either.
    """
    try:
        entry = json.loads((cache_dir / FRAMES_FILE).read_bytes())
        return Frames(**entry["frames"]) if entry["of"] == _asked_like_this(settings) else PLAIN
    except (OSError, ValueError, TypeError, KeyError):
        return PLAIN


def _asked_like_this(settings: ModelSettings) -> list[str]:
    return [settings.reference, settings.chat, settings.system]
