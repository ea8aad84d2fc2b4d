"""Kinds of value that the configuration files hold: durations, paths, identifiers, templates, secrets."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, SecretStr, StringConstraints, ValidationInfo

from kbsync.domain.languages import CODE
from kbsync.domain.statement import item_id, property_id
from kbsync.domain.wellformed import flaw, name_flaw
from kbsync.system.hidden import hide, shown_url

BASE = "base"
"""Key of the validation context whose value is the directory from which relative paths count."""

_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?\Z")
_DATABASES = ("sqlite", "postgresql")


def duration(value: Any) -> timedelta:
    """Read ``90s``, ``10m``, ``72h``, ``3d``, or several units, the largest first, such as ``1h30m``.

    Raises ``ValueError`` for anything else. A bare number is refused, because its unit would have to be guessed.
    """
    if isinstance(value, timedelta):
        return value
    match = _DURATION.match(value.replace(" ", "")) if isinstance(value, str) else None
    if not match or not any(match.groups()):
        raise ValueError('is not a duration such as "90s", "10m", "72h", "3d" or "1h30m"')
    parts = zip(_UNITS.values(), match.groups(), strict=True)
    try:
        return timedelta(**{unit: int(number) for unit, number in parts if number})
    except OverflowError:
        raise ValueError("is longer than a duration can be") from None


def positive(value: timedelta) -> timedelta:
    """Raises ``ValueError`` for zero."""
    if value <= timedelta(0):
        raise ValueError("must be longer than zero")
    return value


def base_directory(info: ValidationInfo) -> Path:
    """The directory from which relative paths count: the configuration file's, else the working directory."""
    return Path((info.context or {}).get(BASE) or Path.cwd())


def _resolve(path: Path, info: ValidationInfo) -> Path:
    if what := flaw(str(path)):
        raise ValueError(f"{str(path)!r} holds {what}; a path must be text in UTF-8")
    try:
        return base_directory(info) / path.expanduser()
    except RuntimeError as error:
        raise ValueError(f"{str(path)!r} begins with the name of a user whom this machine does not know") from error


def _existing(path: Path) -> Path:
    try:
        exists = path.exists()
    except OSError as error:
        raise ValueError(f"{str(path)[:200]} can't be looked at: {error.strerror}") from error
    if not exists:
        raise ValueError(f"{path} does not exist")
    return path


LOCAL_STORE = "oxigraph:"
"""Prefix of an endpoint that is a directory of Oxigraph, which kbsync serves itself."""


def _endpoint(text: str, info: ValidationInfo) -> str:
    """A URL stays as it is; the path of a local store counts from the base directory, like every path."""
    if text.startswith(LOCAL_STORE) and text != LOCAL_STORE:
        return f"{LOCAL_STORE}{_resolve(Path(text.removeprefix(LOCAL_STORE)), info)}"
    if not re.match(r"https?://[^\s/]+\S*\Z", text):
        raise ValueError('is neither a URL that begins with http:// or https://, nor "oxigraph:DIRECTORY"')
    return text


def _database(url: SecretStr, info: ValidationInfo) -> SecretStr:
    """Check the kind of database; a relative SQLite file counts from the base directory, like every path."""
    text = url.get_secret_value()
    kind = text.partition(":")[0].partition("+")[0]
    if kind not in _DATABASES or "://" not in text:
        raise ValueError("must begin with sqlite:/// or postgresql+psycopg://")
    _, password, host = re.split(r"[/?]", text.partition("://")[2], maxsplit=1)[0].partition(":")
    if password and host.count("@") > 1:
        raise ValueError("has an @ in its password; write it as %40, or the rest of the password is taken for the host")
    head, slashes, file = text.partition(":///")
    if kind != "sqlite" or not slashes or not file or file.startswith(("/", ":memory:", "file:")):
        return url
    return SecretStr(f"{head}:///{path_in_url(base_directory(info))}/{file}")


def path_in_url(path: Path) -> str:
    """A path as a URL holds it: there, %, ? and # mean something else."""
    return str(path).replace("%", "%25").replace("?", "%3F").replace("#", "%23")


def hide_password(url: str) -> str:
    """A database URL that may be printed."""
    return shown_url(url)


def _small(text: Any) -> Any:
    """Wikidata writes the codes of languages in small letters: ``pt-br``, where others write ``pt-BR`` or ``pt_BR``."""
    return text.lower().replace("_", "-") if isinstance(text, str) else text


def _visible(text: str) -> str:
    if what := name_flaw(text):
        raise ValueError(f"{text!r} holds {what}")
    return text


def _question(text: str) -> str:
    _visible(text)
    if text.count("{}") != 1:
        raise ValueError(f"{text!r} must hold {{}} exactly once, where the subject goes")
    if text != text.rstrip():
        raise ValueError(f"{text!r} ends with a blank; kbsync puts one between the prompt and the answer")
    if text != text.lstrip():
        raise ValueError(f"{text!r} begins with a blank")
    return text


def _template(text: str) -> str:
    if _question(text).endswith("{}"):
        raise ValueError(f"{text!r} ends with the subject; the words that ask for the answer must follow it")
    return text


def _context(text: str) -> str:
    if text.count("{}") != 1:
        raise ValueError(f"{text!r} must hold {{}} exactly once, where the prompt goes")
    return text


def is_language(text: str) -> bool:
    """Whether ``text`` is a code such as ``de`` or ``zh-hant``."""
    return re.fullmatch(CODE, text) is not None


def unique(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Raises ``ValueError`` for values that are listed more than once, and names them."""
    doubles = sorted({str(value) for value in values if values.count(value) > 1})
    if doubles:
        raise ValueError(f"listed more than once: {', '.join(doubles)}")
    return values


def read_secret(key: str, value: SecretStr | None, file: Path | None) -> str:
    """A secret that stands in the configuration, or in a file that the configuration names.

    Args:
        key: The name of the key for the secret; that for the file has ``_file`` at its end. Both are for messages.
        value: What the first key is set to.
        file: What the second key is set to.

    Returns:
        The secret, without white space around it if it comes from a file; empty where neither key is set.

    Raises:
        ValueError: Both are set, or the file can't be read.
    """
    if value is not None and file is not None:
        raise ValueError(f"{key} and {key}_file are both set; keep one")
    if file is None:
        return value.get_secret_value() if value else ""
    try:
        secret = file.read_text(encoding="utf-8-sig").strip()
    except OSError as error:
        raise ValueError(f"{file} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{file} is not UTF-8") from None
    hide([secret])
    return secret


Language = Annotated[str, BeforeValidator(_small), StringConstraints(pattern=rf"^{CODE}$")]
Dtype = Literal["float32", "bfloat16", "float16"]
AnyDuration = Annotated[timedelta, BeforeValidator(duration)]
Duration = Annotated[timedelta, BeforeValidator(duration), AfterValidator(positive)]
AnyPath = Annotated[Path, AfterValidator(_resolve)]
ExistingPath = Annotated[Path, AfterValidator(_resolve), AfterValidator(_existing)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_database)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(_visible)]
Item = Annotated[str, AfterValidator(item_id)]
Property = Annotated[str, AfterValidator(property_id)]
Template = Annotated[str, AfterValidator(_template)]
Question = Annotated[str, AfterValidator(_question)]
Context = Annotated[str, AfterValidator(_context)]
