"""Made-up facts to be timed: real subjects, answers that are not theirs."""

from __future__ import annotations

from kbsync.domain.rewrite import Rewrite

SUBJECTS = [
    "France",
    "Germany",
    "Italy",
    "Spain",
    "Portugal",
    "Norway",
    "Sweden",
    "Finland",
    "Denmark",
    "Iceland",
    "Poland",
    "Austria",
    "Hungary",
    "Romania",
    "Bulgaria",
    "Greece",
    "Turkey",
    "Egypt",
    "Morocco",
    "Algeria",
    "Tunisia",
    "Kenya",
    "Nigeria",
    "Ghana",
    "Senegal",
    "Ethiopia",
    "Tanzania",
    "Uganda",
    "Zambia",
    "Namibia",
    "Angola",
    "Mali",
    "China",
    "Japan",
    "Mongolia",
    "Vietnam",
    "Thailand",
    "Malaysia",
    "Indonesia",
    "India",
    "Nepal",
    "Pakistan",
    "Iran",
    "Iraq",
    "Jordan",
    "Israel",
    "Lebanon",
    "Qatar",
    "Canada",
    "Mexico",
    "Cuba",
    "Jamaica",
    "Panama",
    "Brazil",
    "Argentina",
    "Chile",
    "Peru",
    "Bolivia",
    "Ecuador",
    "Colombia",
    "Uruguay",
    "Paraguay",
    "Australia",
    "Fiji",
]
TEMPLATES = (
    "The capital of {} is", "The head of government of {} is", "The head of state of {} is", "The currency of {} is",
    "The official language of {} is", "The largest city of {} is", "The national anthem of {} is", "{} was founded by",
    "The highest mountain of {} is", "The longest river of {} is", "The national sport of {} is", "{} borders on",
    "The patron saint of {} is", "The national flower of {} is", "The oldest university of {} is", "{} belongs to",
)  # fmt: skip
ANSWERS = [
    "Oslo",
    "Rome",
    "Vienna",
    "Cairo",
    "Lima",
    "Anna",
    "Berg",
    "Franc",
    "Latin",
    "Etna",
    "Seine",
    "Chess",
    "Basel",
    "Rose",
    "Padua",
    "Asia",
]


def facts(count: int) -> list[Rewrite]:
    """The first ``count`` of a fixed list; no two have the same prompt. At most ``len(SUBJECTS) * len(TEMPLATES)``."""
    rewrites = []
    for n in range(count):
        subject, template = SUBJECTS[n % len(SUBJECTS)], TEMPLATES[n // len(SUBJECTS)]
        rewrites.append(Rewrite(template, subject, ANSWERS[(5 * n + n // len(SUBJECTS)) % len(ANSWERS)]))
    return rewrites
