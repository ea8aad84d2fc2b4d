"""From what a user writes for a model to the directory that holds it as safetensors.

Nothing here loads torch or transformers, unless a GGUF file or quantised weights must be converted.
"""

from __future__ import annotations

from glob import escape
from pathlib import Path

from kbsync.domain.errors import ModelError
from kbsync.model import gguf
from kbsync.model.dequantised import full_precision
from kbsync.model.digests import Digests
from kbsync.model.model_files import ADAPTER, OTHER_TEMPLATES, SINGLE_WEIGHTS, WEIGHTS_INDEX, shards_in
from kbsync.ports import UNWATCHED, Work
from kbsync.system.messages import first_line

PACKAGE = "package:"
"""How a reference begins that names an installed Python package."""
_SMALL = [
    SINGLE_WEIGHTS,
    *("*.json", "*.jinja", "*.txt", "*.model", "*.tiktoken", "README.md", "LICEN[CS]E*", "NOTICE*", "USE_POLICY*"),
]
"""What is fetched of a model: weights that are one file, and everything that is not a weight."""
_NOT = [
    *(f"{OTHER_TEMPLATES[:i]}[!{OTHER_TEMPLATES[i]}]*/*" for i in range(3)),  # in these patterns, * goes across folders
    *("*/*/*", f"{OTHER_TEMPLATES}/*.json", "*.bin.index.json", "consolidated*", ADAPTER),
]
"""What is not fetched of it: folders of other forms of the model, and adapters."""


def model_directory(reference: str, cache_dir: Path, digests: Digests, work: Work = UNWATCHED) -> Path:
    """Find the model; fetch it from the hub, and convert GGUF and quantised weights, where that was not done yet.

    Args:
        reference: As ``load`` takes it.
        cache_dir: Keeps what was converted.
        digests: Those of files name the directories that they were converted into.
        work: Shows a conversion.

    Raises:
        ModelError: there is no such model, or it can't be fetched or converted.
    """
    if reference.startswith(PACKAGE):
        return gguf.from_package(reference.removeprefix(PACKAGE), cache_dir, digests, work)
    path = Path(reference).expanduser()
    if path.suffix == ".gguf":
        if not path.is_file():
            raise ModelError(f"There is no file {path}.", next_step="Name a GGUF file that exists.")
        return gguf.from_file(path, cache_dir, digests, work)
    if path.is_dir():
        return full_precision(path, cache_dir, digests, work)
    if path.exists():
        raise ModelError(
            f"{path} is neither a directory nor a .gguf file.", next_step="Name the directory that holds config.json."
        )
    if path.is_absolute() or reference.startswith((".", "~")) or reference.count("/") != 1:
        raise ModelError(
            f"There is no directory {path}.",
            next_step="Name a directory, a .gguf file, package:<name>, or <owner>/<name> on the hub.",
        )
    return full_precision(_from_hub(reference), cache_dir, digests, work)


def _from_hub(reference: str) -> Path:
    """The snapshot of ``<owner>/<name>[@revision]``, fetched if it is not in the hub's cache.

    Of the weights only those that are read are fetched: many repositories hold them several times, as pickle, in the
    original publisher's form, for other programs.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    from kbsync.model.quiet_hub import quiet_hub

    name, _, revision = reference.partition("@")
    try:
        with quiet_hub():
            found = Path(
                snapshot_download(name, revision=revision or None, allow_patterns=_SMALL, ignore_patterns=_NOT)
            )
            if not (found / SINGLE_WEIGHTS).is_file() and (found / WEIGHTS_INDEX).is_file():
                shards = [escape(shard) for shard in shards_in(found / WEIGHTS_INDEX)]
                found = Path(snapshot_download(name, revision=found.name, allow_patterns=shards))
            return found
    except LocalEntryNotFoundError as error:
        raise ModelError(
            f"{reference} is neither a directory here nor in the hub's cache, and the hub can't be reached.",
            next_step="Check the spelling and the network, or name a local directory.",
        ) from error
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise ModelError(
            f"The hub did not give {reference}: {first_line(error)}",
            next_step="Check the name and the revision; a gated model needs HF_TOKEN.",
        ) from error
