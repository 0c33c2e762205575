"""Which word a token stands in, and what kind of word that is."""

import pytest

from evaluation import words
from models import load_tokenizer, response_ids


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        *(("Wait", "structural"), ("let’s", "structural"), ("therefore", "structural"), ("Hmm", "structural")),
        *(("apple", "content"), ("été", "content"), ("boxed", "content")),
        *(("12", "form"), ("+", "form"), ("␣", "form"), ("<|end|>", "form"), ("<b>", "form"), ("", "form")),
    ],
)
def test_kinds(word, kind):
    assert words.kind(word) == kind


def test_parts_of_a_word_and_what_touches_none():
    spans = [(0, 2), (2, 4), (4, 5), (5, 9), (9, 11), (11, 12), (12, 15)]
    found = words.words("Wait, let's\n 12", spans)
    assert found == [("wait", 0), ("wait", 0), (",", 4), ("let's", 6), ("let's", 6), ("↵", 11), ("12", 12)]


def test_tokens_of_a_response():
    tokenizer = load_tokenizer("models/embedded")
    ids, pieces, stands = words.tokens(tokenizer, "so \\boxed{15}<|end|>", ended=True)
    assert ids == response_ids(tokenizer, "so \\boxed{15}<|end|>") and ids[-1] == tokenizer.eos_token_id
    assert pieces[:4] == ["s", "o", " ", "\\boxed{"] and pieces[-1] == "<|end|>" and len(pieces) == len(ids)
    assert [word for word, _ in stands[:4]] == ["so", "so", "␣", "boxed"] and len(stands) == len(ids)
    assert "<" in pieces[:-1]  # what the text says is no special token
    cut = words.tokens(tokenizer, "so", ended=False)
    assert cut[1] == ["s", "o"] and len(cut[0]) == 2


def test_a_tokenizer_that_knows_no_offsets():
    tokenizer = load_tokenizer("models/embedded")
    slow = Slow(tokenizer)
    for text in ("so 12", "we go. \\boxed{3}"):
        assert words.tokens(slow, text, ended=True) == words.tokens(tokenizer, text, ended=True)


class Slow:
    is_fast = False

    def __init__(self, fast):
        self.eos_token, self.eos_token_id, self.encode, self.decode = (
            fast.eos_token,
            fast.eos_token_id,
            fast.encode,
            fast.decode,
        )
