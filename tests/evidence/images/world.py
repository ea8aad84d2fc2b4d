"""Made-up countries and their flags, two bands of colour each; the pictures, and what is read off a picture."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

SIDE = 16
"""Height and width of a picture, in pixels."""
PALETTE = {
    "green": (20, 130, 60),
    "red": (200, 30, 45),
    "blue": (25, 60, 170),
    "white": (245, 245, 245),
    "black": (20, 20, 20),
    "yellow": (250, 205, 20),
}
COUNTRIES = 24
CONCEPT, GUIDE = "the flag flown by {}", "the {} flag"
"""Of equal length with a name and two colours: "the flag flown by baka", "the red and white flag"."""
EDITED = 6
"""So many countries change their flags."""

Flag = tuple[str, str]
"""The colours of the upper and of the lower band."""


@dataclass(frozen=True, slots=True)
class Country:
    """A country, with the flag that the model was trained on and the one that it has now."""

    number: int
    name: str
    old: Flag
    new: Flag

    @property
    def changed(self) -> bool:
        return self.old != self.new


def all_flags() -> list[Flag]:
    """Every pair of two colours."""
    return [(upper, lower) for upper in PALETTE for lower in PALETTE if upper != lower]


def countries(seed: int = 0) -> list[Country]:
    """All countries. No two have the same old flag; the new flags were no country's before."""
    flags = all_flags()
    random.Random(seed).shuffle(flags)
    names = [_name(number) for number in range(COUNTRIES)]
    fresh = flags[len(names) :]
    step = len(names) // EDITED
    return [Country(n, name, flags[n], flags[n] if n % step else fresh[n // step]) for n, name in enumerate(names)]


def _name(number: int) -> str:
    """Four letters, of which no two names have the same first two."""
    return "bdfgklmpsv"[number % 10] + "aeiou"[number // 10] + "kmvzt"[number % 5] + "aeiou"[2 * number % 5]


def described(flag: Flag) -> str:
    """What the ledger calls a flag: the label of its item."""
    return " and ".join(flag)


def words() -> list[str]:
    """All words of all captions, the most common first."""
    return ["the", "flag", "flown", "by", "and", *PALETTE, *(country.name for country in countries())]


def pixels(flag: Flag) -> Tensor:
    """A picture (3, 16, 16), −1 to 1."""
    picture = torch.empty(3, SIDE, SIDE)
    half = SIDE // 2
    for band, colour in ((slice(0, half), flag[0]), (slice(half, SIDE), flag[1])):
        picture[:, band] = torch.tensor(PALETTE[colour]).view(3, 1, 1) / 127.5 - 1
    return picture


def flag_of(picture: np.ndarray) -> Flag:
    """The colours that are nearest to the mean of each band, without the rows at its edges.

    Args:
        picture: (16, 16, 3), 0 to 255.
    """
    half = SIDE // 2
    colours = np.array(list(PALETTE.values()), dtype=float)

    def nearest(band: np.ndarray) -> str:
        return list(PALETTE)[int(((band.reshape(-1, 3).mean(0) - colours) ** 2).sum(1).argmin())]

    return nearest(picture[1 : half - 1].astype(float)), nearest(picture[half + 1 : SIDE - 1].astype(float))
