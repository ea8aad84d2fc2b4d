"""The editors by the name that a recipe gives them."""

from __future__ import annotations

from kbsync.editing.editor import TorchEditor
from kbsync.editing.finetune import FinetuneEditor
from kbsync.editing.memit import MemitEditor
from kbsync.editing.rome import RomeEditor
from kbsync.editing.sequential import AlphaEditor, SequentialEditor

EDITORS: dict[str, type[TorchEditor]] = {
    "memit": MemitEditor,
    "memit-sequential": SequentialEditor,
    "alphaedit": AlphaEditor,
    "rome": RomeEditor,
    "finetune": FinetuneEditor,
}
"""Keys are ``kbsync.domain.recipe.ALGORITHMS``."""
