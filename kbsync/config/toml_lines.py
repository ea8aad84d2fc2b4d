"""In which line of a TOML file a value stands: the parser of the standard library doesn't say."""

from __future__ import annotations

import re
from collections.abc import Sequence

Location = tuple[str | int, ...]

_TOKEN = re.compile(
    r"""
    (?P<skipped> [ \t\r]+ | \#[^\n]*)
  | (?P<newline> \n)
  | (?P<text> \"{3}(?:\\.|[^\\])*?\"{3} | '{3}.*?'{3} | "(?:\\.|[^"\\\n])*" | '[^'\n]*')
  | (?P<sign> \[\[ | \]\] | [\[\]{}=,])
  | (?P<bare> [^\s\[\]{}=,"'#]+)
    """,
    re.VERBOSE | re.DOTALL,
)
_OPENING, _CLOSING = ("[", "[[", "{"), ("]", "]]", "}")


class TomlLines:
    """The lines of a file that the parser has accepted."""

    def __init__(self, source: str) -> None:
        """Scan ``source`` once; it must be valid TOML."""
        self._lines: dict[Location, int] = {}
        self._newest: dict[Location, int] = {}
        """By list of tables, the index of the one that was begun last."""
        self._scan(source)

    def of(self, location: Sequence[str | int]) -> int | None:
        """The line of a value, counted from 1, or of the nearest thing around it; None where there is none."""
        for end in range(len(location), 0, -1):
            if line := self._lines.get(tuple(location[:end])):
                return line
        return None

    def _scan(self, source: str) -> None:
        table: Location = ()
        for tokens in _statements(source):
            if tokens[0][0] in ("[", "[["):
                table = self._table(_key(tokens[1:-1]), is_list=tokens[0][0] == "[[")
                self._note(table, tokens[0][1])
                continue
            equals = next((n for n, (token, _) in enumerate(tokens) if token == "="), 0)
            if equals:
                self._value(table + _key(tokens[:equals]), tokens[:1], tokens[equals + 1 :])

    def _table(self, key: Location, *, is_list: bool) -> Location:
        """The place that a header names: in a list of tables, the newest one, or a further one."""
        place: Location = ()
        for part in key[:-1]:
            place += (part,)
            place += (self._newest[place],) if place in self._newest else ()
        place += key[-1:]
        if is_list:
            self._newest[place] = self._newest.get(place, -1) + 1
            place += (self._newest[place],)
        return place

    def _note(self, key: Location, line: int) -> None:
        """A table around the key that has no header of its own begins with it."""
        for end in range(1, len(key) + 1):
            self._lines.setdefault(key[:end], line)

    def _value(self, key: Location, name: list[tuple[str, int]], value: list[tuple[str, int]]) -> None:
        """Note the line of a key, and the lines of a list's elements."""
        self._note(key, name[0][1])
        if not value or value[0][0] not in ("[", "[["):
            return
        depth, index = 0, 0
        for token, line in value:
            if token in _OPENING:
                depth += len(token)
            elif token in _CLOSING:
                depth -= len(token)
            elif token == "," and depth == 1:
                index += 1
            elif depth == 1:
                self._lines.setdefault((*key, index), line)


def _statements(source: str) -> list[list[tuple[str, int]]]:
    """The headers and assignments of a file, each as its tokens with their lines."""
    statements: list[list[tuple[str, int]]] = [[]]
    line, depth = 1, 0
    for match in _TOKEN.finditer(source):
        token = match[0]
        if match.lastgroup == "newline" and depth == 0:
            statements.append([])
        elif match.lastgroup not in ("newline", "skipped"):
            statements[-1].append((token, line))
            depth += len(token) if token in _OPENING else -len(token) if token in _CLOSING else 0
        line += token.count("\n")
    return [tokens for tokens in statements if tokens]


def _key(tokens: Sequence[tuple[str, int]]) -> Location:
    """``a."b c".d`` → its parts."""
    parts: list[str] = []
    for token, _ in tokens:
        quoted = token[:1] in ('"', "'")
        parts += [token[1:-1]] if quoted else [part for part in token.split(".") if part]
    return tuple(parts)
