"""English words that decide whether an answer asserts the name that it holds (pure functions and their word lists)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from kbsync.domain.answer_text import Word, fold, word_set, words


def _folded(text: str) -> frozenset[str]:
    return frozenset(map(fold, word_set(text)))


ARTICLES = word_set("the a an la le")
LEGAL = word_set("inc corporation corp company co ltd limited llc ag se gmbh plc sa nv ab oy kg spa holding holdings")
"""What ends the name of a company."""
GENERIC = LEGAL | word_set("""
    fc cf afc sc language river mountains mountain range airport city party industry motor motors systems
    computer group sea ocean island currency stadium university records manufacturing aircraft electronics
""")
"""Words that may be added to a name or left out at its end, and it stays the same name."""
DROPPED = LEGAL | word_set("""
    language river party industry currency motor motors systems computer group records fc cf afc
""")
"""Those that may be left out also where only one word stays."""
PARTICLES = word_set("de von van der des da di del dos du al bin ibn")
TITLES = word_set("""
    president chancellor prime minister premier king queen prince princess emperor empress tsar czar sir
    dame lord lady dr mr mrs ms prof professor general colonel captain admiral marshal senator governor
    mayor pope reverend rev sheikh ayatollah imam ceo chairman chairwoman chairperson chair director coach
    manager datuk seri tun shri hajji mullah secretary judge justice comrade vice deputy acting late duke
    count baron st mt prophet
""")
ROYAL = word_set("king queen prince princess emperor empress tsar czar duke count baron")
"""Titles of people who are named after what they reign: "Prince Albert of Monaco"."""
NATIONALITIES = word_set("""
    american british english scottish welsh irish french german italian spanish portuguese dutch belgian
    swiss austrian polish czech slovak hungarian romanian bulgarian greek turkish russian ukrainian soviet
    swedish norwegian danish finnish icelandic estonian latvian lithuanian serbian croatian bosnian
    slovenian albanian macedonian japanese chinese korean indian pakistani bangladeshi indonesian malaysian
    thai vietnamese filipino australian canadian mexican brazilian argentine argentinian chilean colombian
    peruvian venezuelan cuban egyptian israeli iranian iraqi syrian lebanese saudi nigerian kenyan ethiopian
    african european asian jewish arab roman bavarian prussian californian florentine uk us u.s armenian
    georgian kazakh hong-kong taiwanese jamaican burmese nepali nepalese mongolian cambodian laotian ugandan tanzanian
    jordanian libyan tunisian algerian moroccan uruguayan paraguayan bolivian ecuadorian singaporean ghanaian zambian
""")
COMPASS = word_set("""
    southeast southeastern southwest southwestern northeast northeastern northwest northwestern
""")
QUARTERS = COMPASS | word_set("""
    north south east west central northern southern eastern western continental mainland sub-saharan middle horn
""")
CONTINENTS = word_set("asia europe")
DIVIDED = word_set("australia virginia ireland cyprus macedonia sahara samoa korea america timor sudan guinea")
"""Names that another place has with a point of the compass before it."""

_NEGATIONS = word_set("""
    not never no neither nor isnt wasnt arent werent doesnt dont didnt cannot cant without except unlike
""")
_NEGATIONS_ELSEWHERE = _folded("""
    nicht kein keine keiner pas jamais non não nunca nie nem inte niet geen nooit ei eivät ikke ikkje ekki ne neni není
    nije nisu değil tidak bukan không chẳng όχι δεν не нет ні ne ليس ليست غير لا نیست نہیں לא אינו אינה איננה नहीं न নয় না
    இல்லை არ չէ ոչ
""")
"""The same in other languages. Romanian "nu" is not one of them, because it is "now" in others; nor is Spanish "no"."""
_ONLY = _folded("""
    only just nur bloß seulement uniquement solo sólo solamente apenas solo soltanto somente только лише tylko bara
    endast alleen bare kun csak vain sadece hanya
""")
"""What turns a negation before it round: "not only Paris"."""
_JOINED = _folded("and or but und oder sondern et ou mais y e o pero ma и или а но i a ale och men en og ja ve dan")
_LEADS = word_set("""
    is was are were be been by named called become becomes became remains s now currently today
""")
"""Words after which an answer begins anew."""
_APART = word_set("""
    near nearby outside around beside behind beyond between against than about after before over during like
    into to for with under because while if whether when where which that whose who son daughter wife
    husband brother sister father mother friend successor predecessor resignation suburb outskirts formerly
    previously originally once versus vs ex
""")
_ASIDE = word_set("""
    with after before than between about like unlike under over near since against during
""")
"""Prepositions after which a new "is" or "by" does not lead back to what is asked."""
_CALLED = word_set("""
    city town state country nation continent village municipality republic kingdom province region island
    county borough district sport game language religion field name instrument company firm currency art
    party title
""")
"""Nouns that "of" joins with their own name: "the city of Paris" is Paris."""
_KINDS = _CALLED | word_set("""
    part mixture mix blend combination work product creation composition invention
    leadership government hand hands pen brush area world genre form use heart
    centre center middle banks coast capital command management direction ownership auspices subsidiary
    division member network channel label house
""")
"""What "of" may stand after: "the city of", "the government of"."""
_DIVISIONS = word_set("""
    department canton prefecture territory oblast voivodeship governorate
""")
"""Parts of a country or state, which lie in what they are of: where a place is asked for, "of" may stand after them."""
_AROUND_TOWNS = word_set("province region county district department state")
"""What may have the name of a town in it and is none."""
_FUNCTION = word_set("""
    the a an and or of in on at from by as its his her their is was has have had to also then most more
""")
_FUNCTION_ELSEWHERE = _folded("""
    der die das dem den ein eine einen ist heißt el los las lo un una unos unas es son il gli i uno è sono le les des du
    de est sont c'est o os as um uma é são het een zijn det ett är er on je jest to są это является это был هي هو
    היא הוא ir bir to
""")
"""Articles of other languages, and their "is"."""
_FUNCTION_UNCASED = _folded("""
    هي هو إنها إنه مدينة دولة لغة اسمها تسمى شهر کشور زبان شہر یہ היא הוא זו זה העיר המדינה यह वह शहर नगर राज्य হলো হল
    শহর நகரம் არის ქალაქი է քաղաք
""")
"""Articles, "is" and "city" of languages that are written without capital letters, where no name can be told from a
common noun by its beginning."""
PLAIN = (
    _FUNCTION
    | _FUNCTION_ELSEWHERE
    | _FUNCTION_UNCASED
    | _LEADS
    | _KINDS
    | word_set("""
    best greatest top leading professional national international multinational global famous modern called
    into not no never near than like for with about either both word symbol industry sector current new old
    official main local common plays play playing speak speaks use uses between but
""")
)
"""Small words that may stand in front of a common noun without making another thing of it."""
_WHERE = word_set("where country continent born died buried borders located lies situated")
"""Words of a prompt that asks where something is."""
_REFERS = word_set("refer refers referring")
"""Words whose "to" an answer may begin after."""
_SIGNS = word_set("symbol abbreviation number code")
"""What "with the" may name, as in "an element with the symbol Si"."""
_DEEDS = word_set("written directed composed painted created developed founded discovered invented built made recorded")
_OF_ITS_KIND = word_set("that which in located")
_VERBS = word_set("is was are were has does did")
_PLAYING = word_set("playing using speaking leading being")


@dataclass(frozen=True, slots=True)
class Setting:
    """What the prompt tells about the answer."""

    folds: tuple[str, ...] = ()
    words: frozenset[str] = frozenset()
    last: str = ""
    """The last word of the prompt, folded."""
    who: bool = False
    """Whether it asks for a person."""
    place: bool = False
    """Whether it asks where something is, so that "Ontario, Canada" says Canada."""
    town: bool = False
    """Whether it asks for a town."""

    @classmethod
    def of(cls, prompt: str) -> Setting:
        """Read a prompt, its end if it is long."""
        folds = [word.fold for word in words(prompt[-600:]) if word.fold]
        last = folds[-1] if folds else ""
        place = last == "in" or not _WHERE.isdisjoint(folds)
        town = not {"town", "city"}.isdisjoint(folds) and {"country", "nation", "continent"}.isdisjoint(folds)
        return cls(tuple(folds), frozenset(folds), last, "who" in folds, place, town)

    def holds(self, folds: Sequence[str]) -> bool:
        """Whether the prompt holds these words one after the other."""
        size = len(folds)
        return any(list(self.folds[at : at + size]) == list(folds) for at in range(len(self.folds) - size + 1))


def taken_back_before(said: Sequence[Word], start: int, setting: Setting) -> str:
    """Why the name that begins at ``start`` is not what the answer asserts; empty where nothing speaks against it."""
    before = said[:start]
    if not before:
        return ""
    own = before[_lead(before, setting) :]
    pairs = list(itertools.pairwise(before))
    denied = _NEGATIONS | _NEGATIONS_ELSEWHERE
    negation = next((w.text for w, then in [*pairs, (before[-1], None)] if w.fold in denied and not _hyphen(then)), "")
    if negation and not any(a.fold in denied and b.fold in _ONLY for a, b in pairs):
        return f"after {negation!r}"
    # "with the symbol Ca" names the symbol that is asked for
    named = own and own[-1].fold in (setting.words - _FUNCTION) | _SIGNS
    known = setting.words | {"with", "to"} if named else setting.words
    if apart := next((w.text for w in own if w.fold in _APART - known), ""):
        return f"after {apart!r}"
    kinds = zip(before, before[1:], before[2:], strict=False)
    own_kind = any(a.fold in ("a", "an") and b.fold in setting.words and c.fold in _OF_ITS_KIND for a, b, c in kinds)
    if own_kind and not before[0].capital and not (setting.place and "part" in [w.fold for w in before[-3:]]):
        return "it describes what is asked for instead of naming it"
    if event := _another_event(before, setting):
        return event
    if own and own[0].fold.endswith("ing") and not own[0].capital and own[0].fold not in _PLAYING | setting.words:
        return f"the answer goes on with {own[0].text!r}"
    if len(own) > 16:
        return "too much stands before it"
    return _other_name(own, setting) or _belongs(own, setting)


def _hyphen(word: Word | None) -> bool:
    """Whether a word is the hyphen of "non-profit"."""
    return word is not None and word.text == "-" and not word.spaced


def _lead(before: Sequence[Word], setting: Setting) -> int:
    """Where the phrase begins that the name belongs to: after the last "is", "by" and so on.

    What stands before that must hold no other name than those of the prompt.
    """
    for place in range(len(before), 0, -1):
        word, last = before[place - 1], before[place - 2].fold if place > 1 else ""
        if word.fold == "to" and last in _REFERS:
            return place
        if word.fold == "by" and last in _DEEDS and any(w.fold in ("is", "was") for w in before[: place - 2]):
            return place
        if word.text != ":" and (word.fold not in _LEADS or word.capital):
            continue
        if word.fold in ("now", "currently", "today"):
            return place
        head = before[: place - 1]
        if any(_aside(head, i, setting) for i in range(len(head))):
            continue
        if all(not w.capital or w.fold in setting.words or i == 0 for i, w in enumerate(head) if w.fold):
            return place
    return 0


def _another_event(before: Sequence[Word], setting: Setting) -> str:
    """Says so where the answer tells of a birth and was asked for a death, or the other way round."""
    told = [w.fold for w in before if w.fold in ("born", "died")]
    if not told:
        return ""
    asked = (
        "died" if not setting.words.isdisjoint(("die", "died", "death")) else "born" if "born" in setting.words else ""
    )
    return f"it says where somebody was {told[-1]!r}" if asked and told[-1] != asked else ""


def _aside(head: Sequence[Word], place: int, setting: Setting) -> bool:
    """Whether a preposition at ``place`` leads away from what is asked, so that no answer begins after it."""
    if head[place].fold not in _ASIDE:
        return False
    rest = [w.fold for w in head[place + 1 :] if w.fold and w.fold not in ARTICLES]
    return not rest or rest[0] not in setting.words


def _other_name(own: Sequence[Word], setting: Setting) -> str:
    """The other name that comes first; empty where what is capital is a title, an origin or describes the name."""
    for place, word in enumerate(own):
        origin = word.fold in NATIONALITIES and [w.text for w in own[place + 1 : place + 2]] not in ([","], ["and"])
        if not word.capital or not word.fold or origin or word.fold in setting.words | TITLES | QUARTERS:
            continue
        if place == 0 and word.fold in _FUNCTION:
            continue
        rest = own[place + 1 :]
        if word.text[0].isdigit():
            continue
        commas = sum(w.text == "," for w in own)
        listed = setting.place and own[-1].text == "," and (commas == 1 or own[0].fold in setting.words)
        listed = listed and own[0].fold not in NATIONALITIES
        if [w.fold for w in own[-1:]] == ["by"] and _other_deed(rest, setting):
            return f"{own[-2].text!r} is not what is asked for"
        role = listed or any(w.fold and not w.capital and w.fold not in _FUNCTION and len(w.fold) > 2 for w in rest)
        titled = own[-1].text == "," and any(w.fold in TITLES for w in own[:place])
        if not (role or titled):
            return f"another name comes first, {word.text!r}"
    if len(own) > 1 and own[-1].text == "," and not any(w.fold and w.fold not in _FUNCTION for w in own):
        return "it does not begin the answer"
    if own and own[-1].fold in ("and", "or") and any(w.capital for w in own):
        return "another name comes first"
    return ""


def _other_deed(rest: Sequence[Word], setting: Setting) -> bool:
    """Whether an answer that ends with "and produced by" goes on with something that is not asked for."""
    joined = [w.fold for w in rest[-3:-2]] in (["and"], ["but"])
    return joined and rest[-2].fold not in setting.words


def _belongs(own: Sequence[Word], setting: Setting) -> str:
    """The thing that is only of the named one, as in "the resignation of X"; empty where it is the named one itself."""
    commas = [at for at, w in enumerate(own) if w.text == ","]
    if commas and commas[-1] == len(own) - 1:
        return ""
    own = own[commas[-1] + 1 :] if commas else own
    kinds = _KINDS | setting.words | (_DIVISIONS if setting.place else frozenset())
    for noun, word in itertools.pairwise(own):
        within = noun.fold in QUARTERS and "the" in [w.fold for w in own]
        if word.fold == "of" and noun.fold in _AROUND_TOWNS and setting.town:
            return f"a {noun.text} is no town"
        if word.fold == "of" and not within and noun.fold not in kinds:
            return f"only as that which {noun.text!r} is of"
    return ""


def taken_back_after(said: Sequence[Word], start: int, end: int) -> str:
    """Why what follows the name from ``start`` to ``end`` takes it back; empty where nothing does."""
    after = [w.fold for w in said[end : end + 4] if w.fold or w.text == ","]
    before = [w.fold for w in said[:start] if w.fold and w.fold not in ARTICLES]
    if after[:1] in (["is"], ["was"]) and before[-1:] == ["of"] and not {*before[-2:-1]} <= _CALLED | _LEADS:
        return f"what the answer speaks of is the {before[-2]!r} of it"
    if len(after) > 1 and after[0] in _VERBS and after[1] in ("not", "no", "never"):
        return f"before {after[0] + ' ' + after[1]!r}"
    denied = [word for word in after[:2] if word in _NEGATIONS_ELSEWHERE]
    if denied and after[0] != "," and after[0] not in _JOINED:
        return f"before {denied[0]!r}"
    if after and after[0] in ("isnt", "wasnt", "arent", "suburb", "suburbs", "team", "club"):
        return f"before {after[0]!r}"
    if "by" in after and ("succeeded" in after or "replaced" in after):
        return "somebody else came after"
    return ""
