"""What writing systems need: which marks tell names apart, and which words touch (pure functions and their lists).

In Latin, Greek and Cyrillic letters a mark is an accent that many leave out, and in Hebrew and Arabic ones a vowel that
most leave out. Elsewhere it is part of the word: रोम (Rome) and राम (Ram) differ in nothing else, nor パリ (Paris) and
バリ (Bali).
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

_ACCENTED = ("LATIN", "GREEK", "CYRILLIC", "HEBREW", "ARABIC")
"""Scripts whose marks are left out when words are compared, by the first word of their letters' Unicode names."""
_TOUCHING = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x0F00, 0x0FFF),  # Tibetan
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # 々〆〇
    (0x3040, 0x30FF),  # Japanese syllables
    (0x31F0, 0x31FF),
    (0x3400, 0x9FFF),  # Chinese characters
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),
    (0x20000, 0x3FFFF),
)
"""Characters of scripts that write words without blanks between them."""

CLUSTER, MARK = "\ue000", "\ue001"
"""What ``outline`` puts for a character of such a script, and for a mark on it."""


@lru_cache(maxsize=8192)
def plain(word: str) -> str:
    """A word without case, width, accents and characters that nobody sees; other marks stay."""
    if word.isascii():
        return word.casefold()
    kept, accents = [], True
    for character in unicodedata.normalize("NFKD", word).casefold():
        category = unicodedata.category(character)
        if category == "Cf" or "\ufe00" <= character <= "\ufe0f":
            continue
        if not unicodedata.combining(character):
            kept.append(character)
            if category[0] == "L":
                accents = unicodedata.name(character, "").startswith(_ACCENTED)
        elif not accents:
            kept.append(character)
    return "".join(kept).replace("♯", "#")


def visible(text: str) -> str:
    """A text in composed characters, without those that nobody sees, such as joiners and marks of direction."""
    if text.isascii():
        return text
    return "".join(c for c in unicodedata.normalize("NFC", text) if unicodedata.category(c) != "Cf")


def touches(character: str) -> bool:
    """Whether a character is of a script that writes words without blanks."""
    code = ord(character)
    return code >= 0x0E00 and any(first <= code <= last for first, last in _TOUCHING)


def outline(text: str) -> str:
    """``text`` with one character for each of its own, as a pattern for words wants them: a mark is a letter like the
    one that it stands on; each character of a script without blanks is by itself, with its marks."""
    if text.isascii():
        return text
    shape = list(text)
    for at, character in enumerate(text):
        category = unicodedata.category(character)
        if category[0] == "M" or character in "\u200c\u200d\u3099\u309a":
            before = shape[at - 1] if at else ""
            shape[at] = MARK if before in (CLUSTER, MARK) else "a"
        elif category[0] in "LN" and touches(character):
            shape[at] = CLUSTER
        elif category == "Cf":
            shape[at] = " " if not at or shape[at - 1].isspace() else shape[at - 1] if shape[at - 1].isalnum() else " "
    return "".join(shape)


def _folded(words: str) -> tuple[str, ...]:
    return tuple(sorted({plain(word) for word in words.split()}, key=len, reverse=True))


_BEFORE = """
    是 为 為 叫 于 於 在 称 稱 即 和 市 国 國 总统 總統 总理 總理 首相 主席 教授 国王 女王 省 位于
    は が も に で 、 という は、 首都 都市 大統領 国王 女王
    คือ เป็น กรุง เมือง ประเทศ จังหวัด นาย นาง นางสาว ที่ ใน ชื่อ
    ແມ່ນ ເມືອງ ນະຄອນ គឺ ទីក្រុង ជា သည် မှာ
"""
"""What a name may follow without a blank."""
_AFTER = """
    市 省 州 县 縣 区 區 国 國 岛 島 城 镇 鎮 村 是 为 為 也 在 与 與 及 或 以 等 而 但 位于 位於 先生 女士 总统 總統
    总理 總理 首相 主席 教授 博士 国王 國王 女王 地区 地區 吗 呢 啊 吧 了
    特別市 広域市 都 府 県 町 郡 氏 様 大統領 総理 総理大臣 知事 市長 監督 選手 社長 会長 議長 皇帝 陛下 殿下
    です だ で は が を に と も や か へ よ ね から まで など という といい である でした だった さん さま
    ครับ ค่ะ คะ นะ จ้ะ จ้า เป็น คือ และ ซึ่ง ที่ ใน อยู่ แล้ว เลย
    ແມ່ນ ເປັນ ແລະ គឺ ជា និង မြို့ ဖြစ်သည် ဖြစ်ပါသည် သည် က နှင့်
"""
"""What may follow a name without a blank."""
_TAKEN_BACK = "ではな じゃな でない では不 不是 并非 並非 ไม่ใช่ 以外 出身 大学 大學"
"""What takes a name back: "not", "except", "university of"."""
_ENDINGS = """
    입니다 이다 다 이에요 예요 이었다 였다 은 는 이 가 을 를 에 에서 로 으로 와 과 도 만 이며 이고 라고 이라고 임 씨
    님 시 시입니다 시이다 시다 대통령 대통령입니다 총리 총리입니다 에요
"""
"""What Korean puts behind a name, without a blank; not "의", which makes something else of it: "of Paris"."""
_COPULAS = "dir dır dur dür tir tır tur tür ydi ydı de da te ta"
"""What Turkish puts behind a name and an apostrophe."""
_ELIDED = ("l", "d", "qu", "dell", "all", "nell", "dall", "sull")
"""What French and Italian put before a name, with an apostrophe, in small letters."""


@lru_cache(maxsize=1)
def _lists() -> dict[str, tuple[str, ...]]:
    lists = {"before": _BEFORE, "after": _AFTER, "back": _TAKEN_BACK, "endings": _ENDINGS, "copulas": _COPULAS}
    return {name: _folded(words) for name, words in lists.items()}


def may_follow(before: str, name: str) -> bool:
    """Whether a name may begin behind this piece of the same run of characters; all are folded by ``plain``."""
    if before.endswith(_lists()["back"]):
        return False
    return not before or _syllables(name[:1]) != _syllables(before[-1]) or before.endswith(_lists()["before"])


def may_precede(after: str) -> bool:
    """Whether a name may end before this piece of the same run of characters; folded by ``plain``."""
    if not after:
        return True
    if after.startswith(_lists()["back"]):
        return False
    return after.startswith(_lists()["after"])


def _syllables(character: str) -> str:
    """The kind of a Japanese character: a name in one kind ends where another begins."""
    if "\u30a0" <= character <= "\u30ff":
        return "katakana"
    return "hiragana" if "\u3040" <= character <= "\u309f" else "other"


def bare(word: str, wanted: str) -> str:
    """``wanted``, if a word is that with what its language attaches to names; else empty.

    Args:
        word: As it is written: "파리입니다", "Ankara'dır", "l'Italie".
        wanted: A word of a name, folded by ``plain``.
    """
    folded = plain(word)
    rest = folded.removeprefix(wanted)
    if rest != folded and wanted[-1:] >= "\u1100" and wanted[-1:] <= "\u11ff":
        return wanted if rest in _lists()["endings"] else ""
    for apostrophe in "'’":
        first, mark, last = word.partition(apostrophe)
        if mark and first in _ELIDED and plain(last) == wanted:
            return wanted
        if mark and plain(first) == wanted and plain(last) in _lists()["copulas"]:
            return wanted
    return ""
