"""Codes of languages: Wikidata's own, the tags that its RDF writes for them, and what stands in for what (pure).

Wikidata's codes are MediaWiki's, and not all of them are tags of BCP 47: ``simple`` is written ``en-simple`` in the
RDF, ``sr-el`` is ``sr-Latn``, ``zh-tw`` is ``zh-Hant-TW``. Engines also differ in the case of what they give back, so
tags are compared in small letters.
"""

from __future__ import annotations

CODE = r"([a-z]{2,3}|simple)(-[a-z0-9]{1,12})*"
"""Pattern of a code: ``de``, ``zh-classical``."""
MULTILINGUAL = "mul"
"""Code of the names that Wikidata has once for all languages. One stands in where an item has none in ours."""

_TAGS = {
    "als": "gsw",
    "bat-smg": "sgs",
    "be-x-old": "be-tarask",
    "cbk-zam": "cbk-x-zam cbk",
    "crh": "crh-latn",
    "crh-ro": "crh-latn-ro",
    "de-formal": "de-x-formal",
    "eml": "egl",
    "en-rtl": "en-x-rtl",
    "es-formal": "es-x-formal",
    "fiu-vro": "vro",
    "hu-formal": "hu-x-formal",
    "kk-cn": "kk-arab-cn",
    "kk-tr": "kk-latn-tr",
    "map-bms": "jv-x-bms",
    "mo": "ro-cyrl-md",
    "nl-informal": "nl-x-informal",
    "no": "nb",
    "nrm": "fr-x-nrm nrf",
    "roa-rup": "rup",
    "roa-tara": "it-x-tara nap-x-tara",
    "simple": "en-simple",
    "sr-ec": "sr-cyrl",
    "sr-el": "sr-latn",
    "zh-classical": "lzh",
    "zh-cn": "zh-hans-cn",
    "zh-hk": "zh-hant-hk",
    "zh-min-nan": "nan",
    "zh-mo": "zh-hant-mo",
    "zh-my": "zh-hans-my",
    "zh-sg": "zh-hans-sg",
    "zh-tw": "zh-hant-tw",
    "zh-yue": "yue",
}
"""Wikidata's code → the tags that its RDF has or had for it, in small letters, where they are not the code itself."""

_INSTEAD = {
    "als": "gsw",
    "bat-smg": "sgs",
    "be-x-old": "be-tarask be",
    "crh": "crh-latn",
    "eml": "egl",
    "fiu-vro": "vro",
    "gan": "gan-hant",
    "hif": "hif-latn",
    "iu": "ike-cans",
    "kk": "kk-cyrl",
    "ku": "ku-latn",
    "map-bms": "",
    "nb": "no",
    "nn": "nb no",
    "no": "nb",
    "pt": "pt-br",
    "roa-rup": "rup",
    "roa-tara": "",
    "sh": "sh-latn",
    "simple": "en",
    "sr": "sr-ec",
    "sr-cyrl": "sr-ec sr",
    "sr-ec": "sr",
    "sr-el": "sr-latn sr",
    "sr-latn": "sr-el sr",
    "tg": "tg-cyrl",
    "tt": "tt-cyrl",
    "ug": "ug-arab",
    "uz": "uz-latn",
    "wuu": "wuu-hans",
    "zh": "zh-hans zh-cn zh-hant zh-tw",
    "zh-classical": "lzh",
    "zh-cn": "zh-hans zh",
    "zh-hans": "zh-cn zh-sg zh",
    "zh-hant": "zh-tw zh-hk zh",
    "zh-hk": "zh-hant zh-tw zh",
    "zh-min-nan": "nan",
    "zh-mo": "zh-hk zh-hant zh-tw zh",
    "zh-my": "zh-sg zh-hans zh-cn zh",
    "zh-sg": "zh-hans zh-cn zh",
    "zh-tw": "zh-hant zh-hk zh",
    "zh-yue": "yue",
}
"""Whose names stand in for a language's, in this order: another form of the same language only. For all others the code
without its last part does (``de-at``: ``de``); not for old codes that begin with another language's (``zh-yue``)."""


def chain(language: str) -> tuple[str, ...]:
    """The language, and the forms of it whose names stand in where an item has none in it: ``pt-br``, ``pt``.

    Names for all languages (``mul``) come after these. Another language's name does not stand in, not even English: it
    would be wrong in a sentence of this one.
    """
    found = [language]
    if language in _INSTEAD:
        found += _INSTEAD[language].split()
    else:
        parts = language.split("-")
        found += ["-".join(parts[:count]) for count in range(len(parts) - 1, 0, -1) if parts[count - 1] != "x"]
    return tuple(dict.fromkeys(found))


def tags(language: str) -> tuple[str, ...]:
    """The tags, in small letters, that the RDF may have for a code: the code itself and what stands in ``_TAGS``."""
    return tuple(dict.fromkeys((language, *_TAGS.get(language, "").split())))


def wanted_tags(language: str) -> tuple[str, ...]:
    """All tags of names that may be needed, best first: of the language, of what stands in for it, and ``mul``."""
    return tuple(dict.fromkeys(tag for code in (*chain(language), MULTILINGUAL) for tag in tags(code)))
