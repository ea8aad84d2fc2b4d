"""Recipe files: ``recipes/NAME.toml`` holds the fields of ``domain.recipe.Recipe`` that differ from their defaults."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Annotated, Any, Self, get_type_hints

from pydantic import AfterValidator, Field, create_model, model_validator

from kbsync.config.problems import read_model, suggest
from kbsync.config.section import Section
from kbsync.config.values import Context, Dtype, Text, unique
from kbsync.domain.errors import ConfigError
from kbsync.domain.recipe import ALGORITHMS, CONCEPT_STATES, OPTIMISERS, PHRASINGS, Recipe
from kbsync.domain.served_form import ROUNDED_FORMS

FLOAT32 = "float32"
AUTO = "auto"
"""Names no file: the recipe is found for the base, and its file is called ``auto-<fingerprint>``."""


def _one_of(names: Sequence[str]) -> Any:
    def check(name: str) -> str:
        if name not in names:
            raise ValueError(f"is none of {', '.join(names)}{suggest(name, names)}")
        return name

    return Annotated[str, AfterValidator(check)]


def _rising(layers: tuple[int, ...]) -> tuple[int, ...]:
    if layers != tuple(sorted(layers)):
        raise ValueError("must rise: each layer takes up what the layers before it left over")
    return layers


_Form: Any = _one_of(ROUNDED_FORMS)
_Count = Annotated[int, Field(ge=0)]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_BOUNDED: dict[str, Any] = {
    "name": Text | None,
    "algorithm": _one_of(ALGORITHMS),
    "layers": Annotated[tuple[_Count, ...], Field(min_length=1), AfterValidator(unique), AfterValidator(_rising)],
    "contexts": tuple[Context, ...],
    "corpus": Text,
    "dtype": Dtype,
    "null_space_share": Annotated[float, Field(gt=0, lt=1)],
    "token_threshold": _Positive | None,
    "press_rounds": Annotated[int, Field(ge=0, le=10)],
    "press_factor": Annotated[float, Field(gt=1, allow_inf_nan=False)],
    "trace": Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")],
    "optimiser": _one_of(OPTIMISERS),
    "phrasings": _one_of(PHRASINGS),
    "refine_as": Annotated[tuple[_Form, ...], AfterValidator(unique)],
    "concept_states": _one_of(CONCEPT_STATES),
    **dict.fromkeys(
        ("steps", "context_tokens", "covariance_tokens", "batch", "refine_batch"), Annotated[int, Field(ge=1)]
    ),
    **dict.fromkeys(
        ("context_count", "guard_count", "seed", "capacity", "search_prompts", "refine_epochs", "rank"), _Count
    ),
    **dict.fromkeys(
        ("covariance_weight", "clamp", "learning_rate", "guard_weight", "refine_rate", "refine_held"), _Positive
    ),
    **dict.fromkeys(
        ("weight_decay", "kl_weight", "loss_threshold", "refine_threshold", "refine_preserved", "refine_text"),
        _NotNegative,
    ),
}
"""Field of a recipe → its type with its bounds, where the dataclass's own type allows more."""


class _Recipe(Section):
    """What a recipe's file may hold, beside the fields."""

    def recipe(self, name: str, dtype: str = FLOAT32) -> Recipe:
        """The domain's recipe; it is called ``name``, and is for weights of ``dtype``, where the file does not say."""
        values = self.model_dump()
        given = values["dtype"] if "dtype" in self.model_fields_set else dtype
        return Recipe(**values | {"name": values["name"] or name, "dtype": given})

    @model_validator(mode="after")
    def _one_layer(self) -> Self:
        recipe = self.recipe("")
        if recipe.algorithm in ("rome", "breadth-first") and len(recipe.layers) != 1:
            raise ValueError(f"{recipe.algorithm} edits one layer; name one in layers")
        return self

    @model_validator(mode="after")
    def _refined_at_all(self) -> Self:
        recipe = self.recipe("")
        if recipe.refine_as and not recipe.refine_epochs:
            raise ValueError("refine_as says in which forms the refinement practises, and refine_epochs is 0")
        return self


def _fields() -> dict[str, Any]:
    """Name → (type, default) of every field of ``Recipe``, as pydantic's ``create_model`` takes them."""
    types = get_type_hints(Recipe) | _BOUNDED
    defaults = {field.name: ... if field.default is MISSING else field.default for field in fields(Recipe)}
    return {name: (types[name], default) for name, default in (defaults | {"name": None}).items()}


RecipeFile = create_model("RecipeFile", __base__=_Recipe, **_fields())
"""The file as a model. A field that ``Recipe`` gets is one here, too."""


_LONGEST = 200
"""Bytes of a recipe's name: no file system takes many more."""


def read_recipe(name_or_path: str, recipes_dir: Path, problems: list[str], dtype: str = FLOAT32) -> Recipe | None:
    """Read one recipe.

    Args:
        name_or_path: A name in ``recipes_dir``; or, with a slash or ``.toml``, a path, which is absolute or counts from
            the working directory.
        recipes_dir: Holds one ``*.toml`` per recipe.
        problems: Gets a line for each mistake.
        dtype: Of the weights that the recipe is for, where the file names none: what the model is loaded in.

    Returns:
        The recipe; None when there is any mistake.
    """
    is_path = "/" in name_or_path or name_or_path.endswith(".toml")
    path = Path(name_or_path).expanduser() if is_path else recipes_dir / f"{name_or_path}.toml"
    if not is_path and (len(name_or_path.encode()) > _LONGEST or not path.is_file()):
        known = sorted(file.stem for file in recipes_dir.glob("*.toml"))
        hint = suggest(name_or_path, known) or f"; it holds {', '.join(known) or 'none'}"
        problems.append(f"{recipes_dir}: holds no recipe {name_or_path[:_LONGEST]!r}{hint}")
        return None
    table = read_model(path, RecipeFile, problems)
    return None if table is None else table.recipe(path.stem, dtype)


def load_recipe(name_or_path: str, recipes_dir: Path, dtype: str = FLOAT32) -> Recipe:
    """One recipe, found as ``read_recipe`` does. Raises ``ConfigError`` with every mistake in it."""
    problems: list[str] = []
    recipe = read_recipe(name_or_path, recipes_dir, problems, dtype)
    if recipe is None:
        raise ConfigError(problems)
    return recipe


def recipe_text(recipe: Recipe, comment: str = "") -> str:
    """TOML that reads back as ``recipe``; fields that have their default are left out. ``comment`` stands above it."""
    lines = [
        f"# {line}".rstrip() for paragraph in comment.splitlines() for line in textwrap.wrap(paragraph, 117) or [""]
    ]
    for field in fields(recipe):
        value = getattr(recipe, field.name)
        if field.name != "name" and value != field.default:
            lines.append(f"{field.name} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    # JSON and TOML write texts, numbers and truth values alike, but for one character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
