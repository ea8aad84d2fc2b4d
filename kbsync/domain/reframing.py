"""Phrasings in further frames: what a refinement practises beside the phrasings that an edit writes.

A small model learns the words around a question as readily as the question: what is written in one frame only is
answered in that frame. So every edit phrasing is also practised behind other sentences and, for questions and dialogue,
in other frames. Frames and openers differ from those of held-out phrasings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kbsync.domain.canonical import content_hash
from kbsync.domain.phrasing import PLAIN, SUBJECT, Form, FramedPhrasing, Frames, Phrasing, Use, fill

FRAMES_EACH = 3
"""Frames of each phrasing. A pass draws from all, so that more of them take no more time."""
QUESTION_FRAMES = ("Q: {}\nA:", "{}\n", "- {}\n-")
"""Frames without words of any language, whose answers end with the line."""
ENGLISH_QUESTION_FRAMES = ("User: {}\nAssistant:",)
ENGLISH_DIALOGUE_FRAMES = (
    "{} That would be",
    "{} I think that's",
    "{} Sure, that's",
    "{} You mean",
    "{} The answer is",
    "{} Of course, this is",
)
"""Frames that begin the answer's sentence."""
ENGLISH_OPENERS = (
    "",
    "Let me ask you something. ",
    "I was reading about this yesterday. ",
    "Good morning! ",
)
"""What may stand before a question or dialogue."""
ENGLISH_LEADS = ("It was in the paper today. ", "As most people know by now: ", "- ")
"""What may stand before a statement."""
LEADS = ("- ", "* ")
"""The same without words."""


def reframed(phrasings: Sequence[Phrasing], frames: Frames, language: str, subject: str) -> tuple[FramedPhrasing, ...]:
    """Each edit phrasing in some other frames.

    Which ones are drawn by the hash of subject and phrasing, so that the facts of a relation are practised in all of
    them and nothing depends on the order of facts.

    Args:
        phrasings: Of any use; those for the edit are taken, in their order.
        frames: The frames in which the edit writes them; these are not drawn.
        language: The relation's. For others than English there are only frames without words.
        subject: The subject's label.
    """
    written = [phrasing for phrasing in phrasings if phrasing.use is Use.EDIT]
    return tuple(drawn for phrasing in written for drawn in _drawn(phrasing, frames, language, subject))


def _drawn(phrasing: Phrasing, frames: Frames, language: str, subject: str) -> Iterator[FramedPhrasing]:
    own = frames.of(Use.EDIT, phrasing.form)
    others = [one for one in _frames(phrasing.form, frames, language) if one.template != own]
    first, apart = int(content_hash([subject, phrasing.text])[:8], 16), -(-len(others) // FRAMES_EACH)
    for place in dict.fromkeys((first + n * apart) % len(others) for n in range(FRAMES_EACH)):
        frame = others[place]
        yield FramedPhrasing(fill(frame.template, phrasing.text), frame.end)


def _frames(form: Form, frames: Frames, language: str) -> Iterator[FramedPhrasing]:
    """All frames for phrasings of this form, with what ends the answers in them."""
    english = language == "en"
    if form is Form.STATEMENT:
        for lead in ENGLISH_LEADS if english else LEADS:
            yield FramedPhrasing(lead + frames.edit_statement, frames.statement_end)
        return
    own = frames.of(Use.EDIT, form)
    is_chat = own != PLAIN.of(Use.EDIT, form)
    inside = [FramedPhrasing(own, frames.question_end if form is Form.QUESTION else frames.dialogue_end)]
    line_ends = (*QUESTION_FRAMES, *(ENGLISH_QUESTION_FRAMES if english else ()))
    inside += [FramedPhrasing(frame, PLAIN.question_end) for frame in line_ends]
    if english and not is_chat:
        inside += [FramedPhrasing(frame, PLAIN.dialogue_end) for frame in ENGLISH_DIALOGUE_FRAMES]
    for opener in ENGLISH_OPENERS if english else ("",):
        for frame in inside:
            yield FramedPhrasing(fill(frame.template, opener + SUBJECT), frame.end)
