"""What a response is worth in training: reward functions as TRL calls them, logged by name (rewards/<name>/mean)."""

from collections.abc import Callable, Sequence
from typing import Any

from conf.errors import UserError
from conf.schema import Configuration
from data import world
from models.render import response_text
from models.seeds import stream
from rewards import Request, Verdict, shaping, verify_many
from rewards.watch import Watch
from train import processes
from train.records import Records

SAMPLES_A_STEP = 4  # responses kept in samples.jsonl

Rewards = list[float | None]  # one a response; None where its reference cannot be scored


class _Judge:
    """The verdicts on a batch, reached once for all reward functions, counted and watched."""

    def __init__(self, configuration: Configuration, tokenizer: Any, records: Records) -> None:
        self.tokenizer, self.records = tokenizer, records
        self.options = {"extraction": configuration.data.extraction}
        self.workers = configuration.hardware.reward_workers
        self.watch = Watch(configuration.train.unscorable_limit)
        self.batch: Any = None
        self.texts: list[str] = []
        self.verdicts: list[Verdict] = []

    def see(self, completion_ids: Sequence[Sequence[int]], **columns: Any) -> None:
        """Judge the batch where it is a new one; TRL hands every function the same list."""
        if completion_ids is self.batch:
            return
        self.batch = completion_ids
        self.texts = [response_text(self.tokenizer, ids) for ids in completion_ids]
        rows = zip(columns["kind"], self.texts, columns["reference"], strict=True)
        requests = [Request(kind, text, reference, self.options) for kind, text, reference in rows]
        self.verdicts = verify_many(requests, self.workers)
        self._count(columns["log_metric"])
        self._keep_samples(columns["prompts"], columns["trainer_state"].global_step + 1)

    def scored(self, rewards: Sequence[float]) -> Rewards:
        """The rewards, but None where the reference cannot be scored: such a row leaves its group's advantage."""
        pairs = zip(rewards, self.verdicts, strict=True)
        return [None if verdict.reason == "bad_reference" else reward for reward, verdict in pairs]

    def _count(self, log_metric: Callable[[str, float], None]) -> None:
        responses = [verdict for verdict in self.verdicts if verdict.reason != "bad_reference"]
        self.watch.see(responses)
        unscorable = sum(verdict.outcome == "unscorable" for verdict in responses)
        log_metric("rewards/unscorable_share", unscorable / max(1, len(responses)))
        log_metric("rewards/bad_reference_share", 1 - len(responses) / len(self.verdicts))
        passed = self.watch.passed()
        if passed:
            change = "see rewards/unscorable_share in metrics.jsonl; train.unscorable_limit is the share allowed"
            raise UserError(passed, "each counts as wrong, so the reward would measure the verifier", change)

    def _keep_samples(self, prompts: Sequence[str], step: int) -> None:
        for i in range(0, len(self.texts), max(1, len(self.texts) // SAMPLES_A_STEP)):
            verdict = self.verdicts[i]
            row = {
                "prompt": prompts[i],
                "response": self.texts[i],
                "outcome": verdict.outcome,
                "reason": verdict.reason,
            }
            self.records.sample({"step": step, **row, "strategy": world.strategy(prompts[i], self.texts[i])})


def right(
    configuration: Configuration, tokenizer: Any, rows: Sequence[Any], completion_ids: Sequence[Sequence[int]]
) -> list[bool]:
    """Whether each response is right, by the verdict that `accuracy` rests on."""
    requests = [
        Request(
            row["kind"], response_text(tokenizer, ids), row["reference"], {"extraction": configuration.data.extraction}
        )
        for row, ids in zip(rows, completion_ids, strict=True)
    ]
    return [one.outcome == "right" for one in verify_many(requests, configuration.hardware.reward_workers)]


def functions(configuration: Configuration, tokenizer: Any, records: Records) -> list[Any]:
    """The functions of `recipe.reward_funcs`, in order; TRL adds them up with `recipe.reward_weights`."""
    judge = _Judge(configuration, tokenizer, records)
    limit, cache = configuration.data.max_completion_length, configuration.recipe.soft_overlong_cache

    def accuracy(completion_ids: Any, **columns: Any) -> Rewards:
        """1 for right, 0 for wrong and for what could not be judged."""
        judge.see(completion_ids, **columns)
        return judge.scored([float(verdict.outcome == "right") for verdict in judge.verdicts])

    def well_formed(completion_ids: Any, **columns: Any) -> Rewards:
        """1 for the asked form, right or not."""
        judge.see(completion_ids, **columns)
        return judge.scored([shaping.well_formed(text) for text in judge.texts])

    def soft_overlong(completion_ids: Any, **columns: Any) -> Rewards:
        """0 for a response of a fit length, down to -1 at the limit."""
        judge.see(completion_ids, **columns)
        return judge.scored([shaping.soft_overlong(len(ids), limit, cache) for ids in completion_ids])

    def random(completion_ids: Any, **columns: Any) -> Rewards:
        """A fair coin, one a response, that knows nothing of it."""
        judge.see(completion_ids, **columns)
        first, step = processes.rank() * len(completion_ids), columns["trainer_state"].global_step
        tosses = [stream(configuration.seed, "coin", step, first + i) for i in range(len(completion_ids))]
        return judge.scored([float(toss % 2) for toss in tosses])

    known = {function.__name__: function for function in (accuracy, well_formed, soft_overlong, random)}
    return [known[name] for name in configuration.recipe.reward_funcs]
