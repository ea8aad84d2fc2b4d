"""What a page names exists: links, files, commands with their options, modules, make targets, settings, the glossary's
names."""

from __future__ import annotations

import functools
import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from pydantic import BaseModel

from kbsync.cli.main import VERBS, build
from kbsync.config.settings import Settings
from tests.evidence.cli import VERBS as EVIDENCE_VERBS
from tests.support.paths import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
OF_THEIR_TIME = [ROOT / "CHANGELOG.md", *(ROOT / "docs" / "adr").glob("0*.md")]
"""Pages that may name what has gone since."""
PRESENT = [page for page in PAGES if page not in OF_THEIR_TIME]
MODULES = [path for folder in ("kbsync", "tests", "docs") for path in (ROOT / folder).rglob("*.py")]
FOLDERS = ("kbsync", "tests", "docs", "config", "deploy", "migrations", ".ci")
VERB_NAMES = {verb.name for verb in VERBS}
CALL = re.compile(r"(?:^|[;&|(]\s*|[A-Z_]+=\S+ )(?:\S*/)?kbsync( [^;&|#]*)?(?:$|[;&|#])")
"""``kbsync`` at the start of a command, perhaps with a path or environment variables before it, and its arguments."""
ROOT_OPTIONS = {"--config", "--quiet", "--profile", "--version", "--install-completion", "--show-completion", "--help"}

page_of = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
present_page = pytest.mark.parametrize("page", PRESENT, ids=lambda path: str(path.relative_to(ROOT)))


def prose(page: Path) -> str:
    """The page without its code blocks and generated tables."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"(?ms)^<!-- figures .*?^<!-- end -->", "", text)
    return re.sub(r"(?ms)^```.*?^```", "", text)


def quoted(page: Path) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`\n]+)`", prose(page))


def command_lines(page: Path) -> Iterator[str]:
    """The shell commands of a page: lines of its shell blocks (joined where they are continued), and what is in
    backticks."""
    text = re.sub(r"(?ms)^<!-- figures .*?^<!-- end -->", "", page.read_text(encoding="utf-8"))
    for block in re.findall(r"(?ms)^```sh\n(.*?)^```", text):
        yield from block.replace("\\\n", " ").splitlines()
    yield from quoted(page)


def anchors(page: Path) -> set[str]:
    """The names that a Markdown viewer gives to a page's headings."""
    names = set()
    for heading in re.findall(r"(?m)^#+ (.+)$", prose(page)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        names.add(re.sub(r"[^\w\- ]", "", plain).strip().replace(" ", "-"))
    return names


@page_of
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if link.startswith(("https://", "mailto:")):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        if anchor and target.suffix == ".md":
            # GitHub keeps a trailing hyphen, which stripped headings lack.
            assert anchor in anchors(target) or anchor.rstrip("-") in anchors(target), link


@present_page
def test_files_exist(page: Path) -> None:
    shown = set(
        re.findall(r"`([\w.]+)`:\n+```", page.read_text(encoding="utf-8"))
    )  # the reader's own, printed on the page
    for name in quoted(page):
        if re.search(r"[<*…{ ]|NAME|NNNN|<module>|\.json$", name):
            continue  # a pattern, or what a run writes
        if name.startswith(tuple(f"{folder}/" for folder in FOLDERS)):
            assert (ROOT / name).exists(), name
        elif name.endswith(".py") and name not in shown:
            assert any(path.as_posix().endswith(f"/{name}") for path in MODULES), name


@present_page
def test_commands_and_their_options_exist(page: Path) -> None:
    for line in command_lines(page):
        for call in CALL.findall(line.strip()):
            # A sentence that only mentions the program is no call: `kbsync's ...`, `kbsync[web]`.
            if not call.strip().startswith(("'", "[")):
                require_command(shlex.split(call.replace("…", "")), line)


def require_command(words: list[str], line: str) -> None:
    """Fail unless ``words``, what follows ``kbsync`` in ``line``, name a command and options that it has."""
    while words and words[0] in ROOT_OPTIONS:
        words = words[2 if words[0] == "--config" else 1 :]
    if not words:
        return
    name = next((n for n in (" ".join(words[:2]), words[0]) if n in VERB_NAMES), None)
    is_group = any(n.startswith(f"{words[0]} ") for n in VERB_NAMES)
    assert name or (is_group and (len(words) == 1 or "|" in line)), f"no such command: {line}"
    for option in (word.partition("=")[0] for word in words if name and word.startswith("--")):
        assert option in options_of(name) | ROOT_OPTIONS, f"no such option: {option} in: {line}"


@functools.cache
def options_of(name: str) -> set[str]:
    """The long options of the command ``name``."""
    command = typer.main.get_command(build())
    both = name in command.commands  # type: ignore[attr-defined]  # `trace relations` beside `trace`
    for word in [name] if both else name.split():
        command = command.commands[word]  # type: ignore[attr-defined]
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}


@present_page
def test_modules_and_make_targets_exist(page: Path) -> None:
    targets = re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"))
    for line in command_lines(page):
        for module in re.findall(r"python -m ((?:kbsync|tests|docs)[\w.]*)", line):
            assert importlib.util.find_spec(module), line
        for verb in re.findall(r"python -m tests\.evidence ([\w-]+)", line):
            assert verb in {known.name for known in EVIDENCE_VERBS}, line
        for target in re.findall(r"^make ([a-z-]+)", line):
            assert target in targets, line


def settings(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[str]:
    """Every key of the configuration with its section: ``source.batch``."""
    for name, field in model.model_fields.items():
        yield prefix + name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from settings(field.annotation, f"{prefix}{name}.")


@present_page
def test_settings_exist(page: Path) -> None:
    known = set(settings())
    sections = {name.partition(".")[0] for name in known if "." in name}
    for name in quoted(page):
        bracketed = re.fullmatch(r"\[(\w+)\](?: (\w+))?.*", name)
        dotted = re.fullmatch(r"(\w+)\.(\w+)(?: = .*)?", name)
        if bracketed and not bracketed[1].startswith(("trust", "phrasings")):
            key = ".".join(part for part in bracketed.groups() if part)
        elif dotted and dotted[1] in sections and dotted[2] not in ("toml", "md", "json", "py"):
            key = f"{dotted[1]}.{dotted[2]}"
        else:
            continue
        assert key in known, name


def test_names_in_the_glossary_are_in_the_code() -> None:
    code = "\n".join(p.read_text(encoding="utf-8") for p in sorted((ROOT / "kbsync").rglob("*.py")))
    words = set(re.findall(r"\w+", code))
    for row in re.findall(r"(?m)^\|.*\| (.*?) \|$", prose(ROOT / "docs" / "glossary.md")):
        for name in re.findall(r"`([^`]+)`", row):
            if name.startswith("kbsync."):
                assert importlib.util.find_spec(name), name
            elif "/" not in name:
                assert set(name.split(".")) <= words, name


def test_indexes_name_every_page() -> None:
    docs = ROOT / "docs"
    for index, pages in (
        (docs / "README.md", docs.glob("*/*.md")),
        (docs / "adr" / "README.md", (docs / "adr").glob("0*.md")),
    ):
        links = set(re.findall(r"\]\(([^)#]+)", index.read_text(encoding="utf-8")))
        named = {(index.parent / link).resolve() for link in links}
        missing = {
            p for p in pages if p.resolve() not in named and (p.parent.name != "adr" or index.parent.name == "adr")
        }
        assert not missing - {docs / "adr" / "README.md"}
