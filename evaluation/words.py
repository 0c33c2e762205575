"""Where tokens stand in a text: their words, and which of these make reasoning's structure rather than its content."""

import re
from collections.abc import Sequence
from typing import Any

from models import response_ids

CLASSES = ("structural", "content", "form")

# What the word clouds of Huan et al. 2025 (arXiv 2507.00432, section 4) call logical-structural words was sorted by
# hand and never published. This list is ours: connectives, steps and cases, self-talk and checking.
STRUCTURAL = frozenset(
    """
    so therefore thus hence then because since if else otherwise unless whereas while when whenever given
    but however although though yet still nevertheless nonetheless instead rather alternatively conversely except
    and or nor not also moreover furthermore additionally besides again
    first firstly second secondly third thirdly next finally lastly now before after step steps case cases part
    wait hmm hm okay ok alright well oh ah actually maybe perhaps possibly probably likely seems seem guess
    let lets let's suppose assume assuming consider considering note notice recall remember
    check checking checked verify verifying verified confirm confirms double recheck reconsider correct mistake
    think thinking thought means meaning implies imply follows following conclude conclusion overall summary
    """.split()  # noqa: SIM905
)
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
SHOWN = {" ": "␣", "\n": "↵", "\t": "⇥", "\r": "␍", "": "∅"}

Span = tuple[int, int]


def kind(word: str) -> str:
    """structural: a word of STRUCTURAL. content: any other word. form: digits, signs, spaces, special tokens."""
    if word.replace("’", "'").casefold() in STRUCTURAL:
        return "structural"
    return "content" if WORD.fullmatch(word) else "form"


def words(text: str, spans: Sequence[Span]) -> list[tuple[str, int]]:
    """For each token, by its span of characters: the word it stands in, in small letters, and where that begins. A
    token that touches no word stands for itself, its spaces at both ends left out."""
    found = [(one.start(), one.end()) for one in WORD.finditer(text)]
    place, told = 0, []
    for begin, end in spans:
        while place < len(found) and found[place][1] <= begin:
            place += 1
        if place < len(found) and found[place][0] < end:
            told.append((text[slice(*found[place])].casefold(), found[place][0]))
        else:
            told.append((visible(text[begin:end]), begin))
    return told


def visible(piece: str) -> str:
    """A token's text without the spaces around it; of nothing but spaces, signs for them."""
    return piece.strip() or "".join(SHOWN.get(letter, "␣") for letter in piece) or SHOWN[""]


def tokens(tokenizer: Any, text: str, ended: bool) -> tuple[list[int], list[str], list[tuple[str, int]]]:
    """Token ids of a response, its end token last where it `ended` by itself; the text of each; and its `words`.

    The ids are those that the text has when it is read (models/render.py): special tokens inside it are plain
    characters, and where a model wrote a text in other tokens than its tokenizer would, those are not seen.
    """
    ids = response_ids(tokenizer, text)
    spans = _spans(tokenizer, text, ids[:-1])
    pieces, told = [text[begin:end] for begin, end in spans], words(text, spans)
    if not ended:
        return ids[:-1], pieces, told
    return ids, [*pieces, tokenizer.eos_token], [*told, (tokenizer.eos_token, len(text))]


def _spans(tokenizer: Any, text: str, ids: Sequence[int]) -> list[Span]:
    """Of each token in `text`; of a tokenizer that cannot say, one after the other, each as long as its own text."""
    if tokenizer.is_fast:
        more = {"add_special_tokens": False, "split_special_tokens": True, "verbose": False}
        return [tuple(span) for span in tokenizer(text, return_offsets_mapping=True, **more)["offset_mapping"]]
    spans, begin = [], 0
    for one in ids:
        end = min(len(text), begin + len(tokenizer.decode([one])))
        spans.append((begin, end))
        begin = end
    return spans
