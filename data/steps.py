"""The steps between a source and the compiled rows. Each takes a batch of rows, drops some, and counts why."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import models
from conf.schema import Configuration
from data import decontaminate, imitation, scorable
from data.columns import Row
from data.decontaminate import Held, plain
from data.imitation import Teacher
from rewards import Request, verify_many

# why a row leaves every arm, in the order the reasons are tried; `loaded` is their sum and `kept`
REASONS = (
    "without_prompt",
    "without_answer",
    "unscorable_reference",
    "duplicate",
    "overlaps_suite",
    "special_token_in_text",
    "over_max_prompt_length",
    "without_target",
    "target_not_right",
    "over_max_completion_length",
    "near_duplicate",
)
# of these the reasons why a teacher arm alone cannot use a row; with data.pairing=union it stays for the others
OF_TEACHERS = ("without_target", "target_not_right", "special_token_in_text", "over_max_completion_length")
_TOKENIZED = 64  # texts a call; more would only take more memory


@dataclass
class Work:
    """What the steps know and count, over all batches."""

    configuration: Configuration
    tokenizer: Any
    held: Held
    teacher: Teacher | None  # None: the source has no response to any row
    counts: Counter[str] = field(default_factory=Counter)  # rows that left, by reason
    targets: Counter[str] = field(default_factory=Counter)  # responses: written, and why they were not taken
    untaught: Counter[str] = field(default_factory=Counter)  # rows without a response to imitate, by reason
    overlaps: Counter[str] = field(default_factory=Counter)  # rows that overlap the suite, by benchmark
    prompts: set[bytes] = field(default_factory=set)  # digests of those seen
    references: dict[tuple[str, str], bool] = field(default_factory=dict)  # whether of no use, of those asked about

    def drop(self, rows: Sequence[Row], reason: str, leaves: Sequence[Any]) -> list[Row]:
        """The rows that stay; the others are counted."""
        kept = [row for row, left in zip(rows, leaves, strict=True) if not left]
        self.counts[reason] += len(rows) - len(kept)
        return kept


def run(work: Work, rows: list[Row]) -> list[Row]:
    """A batch of a source's rows, through all steps: rendered, each with the responses that may be imitated."""
    workers = work.configuration.hardware.reward_workers
    work.counts["loaded"] += len(rows)
    rows = work.drop(rows, "without_prompt", [not row["prompt"].strip() for row in rows])
    rows = work.drop(rows, "without_answer", [not row["reference"].strip() for row in rows])
    rows = work.drop(rows, "unscorable_reference", scorable.unusable(rows, work.references, workers))
    rows = work.drop(rows, "duplicate", [_seen(work, row["prompt"]) for row in rows])
    rows = work.drop(rows, "overlaps_suite", _overlapping(work, rows))
    rows = work.drop(rows, "special_token_in_text", _special(work, [row["prompt"] for row in rows]))
    return _attempted(work, _taught(work, _with_prompt_ids(work, rows)))


def _seen(work: Work, prompt: str) -> bool:
    """Whether an earlier row has this prompt, white space aside."""
    digest = hashlib.blake2b(plain(prompt).encode(), digest_size=16).digest()
    before = digest in work.prompts
    work.prompts.add(digest)
    return before


def _overlapping(work: Work, rows: Sequence[Row]) -> list[str | None]:
    found = decontaminate.overlaps(work.held, [row["prompt"] for row in rows])
    work.overlaps.update(name for name in found if name)
    return found


def _special(work: Work, texts: Sequence[str]) -> list[bool]:
    """Of each text whether it holds what would be read as a control token: it could end a turn, or open another's."""
    tokens = [str(token) for token in work.tokenizer.added_tokens_decoder.values() if token.special]
    return [any(token in text for token in tokens) for text in texts]


def _with_prompt_ids(work: Work, rows: Sequence[Row]) -> list[Row]:
    shown = work.configuration.data.num_fewshot
    shots = [row.get("shots", ())[:shown] for row in rows]
    ids = _ids(models.batch_prompt_ids, work.tokenizer, [row["prompt"] for row in rows], shots)
    rendered = [{**row, "prompt_ids": one} for row, one in zip(rows, ids, strict=True)]
    limit = work.configuration.data.max_prompt_length
    return work.drop(rendered, "over_max_prompt_length", [len(row["prompt_ids"]) > limit for row in rendered])


def _ids(
    render: Callable[..., list[list[int]]], tokenizer: Any, texts: Sequence[str], *beside: Sequence[Any]
) -> list[np.ndarray]:
    """The token ids of texts, as int32 arrays; Python's own lists of numbers take ten times the memory."""
    starts = range(0, len(texts), _TOKENIZED)
    parts = [[column[start : start + _TOKENIZED] for column in (texts, *beside)] for start in starts]
    return [np.array(ids, np.int32) for part in parts for ids in render(tokenizer, *part)]


# --- what a teacher arm imitates --------------------------------------------------------------------------------------


def _taught(work: Work, rows: list[Row]) -> list[Row]:
    """Rows with `targets` and `target_ids`; those without any leave, unless the pairing is a union.

    A response that cannot be taken gives its place to the row's next one, and only as many are tokenized as are needed.
    """
    found = [{**row, "targets": [], "target_ids": []} for row in rows]
    if work.teacher is None:
        return found
    data, (waiting, reasons) = work.configuration.data, _candidates(work, rows)
    wanted = data.targets_per_prompt
    while tried := [(i, c.pop(0)) for i, c in enumerate(waiting) if c and len(found[i]["targets"]) < wanted]:
        for (i, text), (ids, refused) in zip(tried, _rendered(work, [text for _, text in tried]), strict=True):
            if refused:
                reasons[i] = refused
                work.targets[refused] += 1
            else:
                found[i]["targets"].append(text)
                found[i]["target_ids"].append(ids)
    lacking = [reason if not row["targets"] else "" for row, reason in zip(found, reasons, strict=True)]
    work.untaught.update(filter(None, lacking))
    if data.pairing == "union":
        return found
    work.counts.update(filter(None, lacking))
    return [row for row, reason in zip(found, lacking, strict=True) if not reason]


def _attempted(work: Work, rows: list[Row]) -> list[Row]:
    """Rows with `attempts` and `attempt_ids`, where the world's teacher makes mistakes: all that it writes, cut off at
    the limit as a policy's responses are; arms that weigh responses read them in the place of the targets."""
    data = work.configuration.data
    if not data.teacher_mistakes:
        return rows
    texts = [imitation.attempts(data, row) for row in rows]
    ids = iter(_ids(models.batch_response_ids, work.tokenizer, [text for own in texts for text in own]))
    cut = [[next(ids)[: data.max_completion_length] for _ in own] for own in texts]
    found = [row | {"attempts": own, "attempt_ids": one} for row, own, one in zip(rows, texts, cut, strict=True)]
    slipped = sum(text not in imitation.written(data, row) for row in found for text in row["attempts"])
    work.targets.update(attempts=sum(map(len, texts)), attempts_wrong=slipped)
    return found


def _candidates(work: Work, rows: Sequence[Row]) -> tuple[list[list[str]], list[str]]:
    """Of each row its right responses, best first; and why it has none, where it has none."""
    assert work.teacher is not None
    written = [work.teacher(row) for row in rows]
    requests = [
        Request(row["kind"], text, row["reference"], {"extraction": work.configuration.data.extraction})
        for row, one in zip(rows, written, strict=True)
        for text in (one.texts if not one.judged else ())
    ]
    verdicts = iter(verify_many(requests, work.configuration.hardware.reward_workers))
    right = [[text for text in one.texts if one.judged or next(verdicts).outcome == "right"] for one in written]
    for one, texts in zip(written, right, strict=True):
        total = len(one.texts) + one.rejected
        work.targets.update(written=total, not_right=total - len(texts))
    return right, ["target_not_right" if one.texts or one.rejected else "without_target" for one in written]


def _rendered(work: Work, texts: Sequence[str]) -> list[tuple[np.ndarray, str]]:
    """The token ids of responses, each with the reason why it cannot be imitated, or with none."""
    limit = work.configuration.data.max_completion_length
    ids = _ids(models.batch_response_ids, work.tokenizer, texts)
    long = ["over_max_completion_length" if len(one) > limit else "" for one in ids]
    special = ["special_token_in_text" if found else "" for found in _special(work, texts)]
    return [(one, a or b) for one, a, b in zip(ids, special, long, strict=True)]
