"""Recipe files."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import get_type_hints

import pytest

from kbsync.config import load_all, load_recipe
from kbsync.config.recipe_file import RecipeFile, recipe_text
from kbsync.domain.errors import ConfigError
from kbsync.domain.recipe import Recipe
from tests.support.config_samples import Writer


def test_the_recipe_file_has_the_domains_fields_and_defaults() -> None:
    fields = {f.name: f for f in dataclasses.fields(Recipe)}
    assert set(RecipeFile.model_fields) == set(fields)
    assert RecipeFile.model_validate({"layers": (3,)}).recipe("x") == Recipe(name="x", layers=(3,))


def test_recipes_by_name_and_by_path(write: Writer, tmp_path: Path) -> None:
    path = write(recipes={"small": 'layers = [0]\ncontexts = ["{}", "Well, {}"]\nsteps = 3\n'})
    expected = Recipe(name="small", layers=(0,), contexts=("{}", "Well, {}"), steps=3)
    assert load_recipe("small", path.parent / "recipes") == expected
    assert load_recipe(str(path.parent / "recipes/small.toml"), tmp_path) == expected
    assert load_all(path, {"edit": {"recipe": "recipes/small.toml"}}).recipe == expected


def test_a_recipe_that_names_no_dtype_is_for_the_one_that_the_model_is_loaded_in(write: Writer) -> None:
    path = write(recipes={"small": "layers = [0]", "wide": 'layers = [0]\ndtype = "float32"'})

    def dtype(recipe: str) -> str:
        found = load_all(path, {"edit": {"recipe": recipe}, "model": {"dtype": "bfloat16"}}).recipe
        assert found is not None
        return found.dtype

    assert (dtype("small"), dtype("wide")) == ("bfloat16", "float32")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("steps = 3", "layers: is missing"),
        ("layers = [2, 1]", "layers: must rise"),
        ("layers = [1, 1]", "layers: listed more than once: 1"),
        ("layers = [-1]", "layers[0]: input should be greater than or equal to 0"),
        ("layers = [1]\nclamp = inf", "clamp: input should be a finite number"),
        ("layers = [1]\ncovariance_weight = 0", "covariance_weight: input should be greater than 0"),
        ('layers = [1]\ncontexts = ["no place"]', "contexts[0]: 'no place' must hold {} exactly once"),
        ('layers = [1]\ndtype = "int8"', "dtype: input should be 'float32', 'bfloat16' or 'float16' (got 'int8')"),
        ("layers = [1]\ntoken_threshold = 0", "token_threshold: input should be greater than 0"),
        (
            'layers = [1]\nalgorithm = "memmit"',
            "algorithm: is none of memit, memit-sequential, alphaedit, rome, finetune, breadth-first, mend; did",
        ),
        ('layers = [1, 2]\nalgorithm = "rome"', "rome edits one layer"),
        ('layers = [1, 2]\nalgorithm = "breadth-first"', "breadth-first edits one layer"),
        ('layers = [1]\nrefine_epochs = 1\nrefine_as = ["q4_k"]', "refine_as[0]: is none of bfloat16, float16, q8_0"),
        ('layers = [1]\nrefine_as = ["q4_0"]', "refine_as says in which forms the refinement practises"),
        ('layers = [1]\nphrasings = "al"', "phrasings: is none of first, all; did you mean 'all'?"),
        ("layers = [1]\nrefine_held = 0.0", "refine_held: input should be greater than 0"),
        ("layers = [1]\nrefine_batch = 0", "refine_batch: input should be greater than or equal to 1"),
        ("layers = [1]\nrefine_text = nan", "refine_text: input should be"),
        ("layers = [1]\nlerning_rate = 1", "lerning_rate: is not a key here; did you mean 'learning_rate'?"),
    ],
)
def test_mistakes_in_a_recipe(write: Writer, text: str, says: str) -> None:
    directory = write(recipes={"small": text}).parent / "recipes"
    with pytest.raises(ConfigError) as caught:
        load_recipe("small", directory)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{directory}/small.toml: {says}")


NUMBERS = [name for name, kind in get_type_hints(Recipe).items() if kind in (int, float, float | None)]


@pytest.mark.parametrize("field", NUMBERS)
def test_no_number_of_a_recipe_is_negative(write: Writer, field: str) -> None:
    directory = write(recipes={"small": f"layers = [1]\n{field} = -1"}).parent / "recipes"
    with pytest.raises(ConfigError, match=f"{field}: input should be greater than"):
        load_recipe("small", directory)


def test_an_unknown_recipe_names_those_that_exist(write: Writer) -> None:
    directory = write().parent / "recipes"
    with pytest.raises(ConfigError, match="holds no recipe 'smal'; did you mean 'small'"):
        load_recipe("smal", directory)
    with pytest.raises(ConfigError, match="holds no recipe 'zzz'; it holds small"):
        load_recipe("zzz", directory)
    with pytest.raises(ConfigError, match="holds no recipe 'zzz"):
        load_recipe("z" * 5_000, directory)


def test_a_recipe_s_text_reads_back_as_the_recipe(write: Writer) -> None:
    recipe = Recipe(name="small", layers=(3, 5), contexts=("{}", 'He said: "{}\x7f'), token_threshold=0.5, clamp=1e-7)
    text = recipe_text(recipe, "Where it comes from.")
    assert text.startswith("# Where it comes from.\nlayers = [3, 5]\n")
    assert load_recipe("small", write(recipes={"small": text}).parent / "recipes") == recipe
    assert recipe_text(Recipe(name="small", layers=(1,))) == "layers = [1]\n"


def test_a_recipe_may_have_a_name_of_its_own(write: Writer) -> None:
    directory = write(recipes={"small": 'name = " my recipe "\nlayers = [1]\n'}).parent / "recipes"
    assert load_recipe("small", directory).name == "my recipe"
