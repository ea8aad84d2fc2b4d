"""The editors by the name that a recipe gives them."""

from __future__ import annotations

from kbsync.editing.baselines.alphaedit import AlphaEditor
from kbsync.editing.baselines.breadth_first import BreadthFirstEditor
from kbsync.editing.baselines.finetune import FinetuneEditor
from kbsync.editing.baselines.rome import RomeEditor
from kbsync.editing.baselines.sequential import SequentialEditor
from kbsync.editing.editor import TorchEditor
from kbsync.editing.memit.memit import MemitEditor
from kbsync.editing.mend.editor import MendEditor

EDITORS: dict[str, type[TorchEditor]] = {
    "memit": MemitEditor,
    "memit-sequential": SequentialEditor,
    "alphaedit": AlphaEditor,
    "rome": RomeEditor,
    "finetune": FinetuneEditor,
    "breadth-first": BreadthFirstEditor,
    "mend": MendEditor,
}
"""Keys are ``kbsync.domain.recipe.ALGORITHMS``."""
