"""The entropy-matched control: the tuned model sampled as hot as makes it as uncertain as the base is.

Training sharpens, and a sharper model reaches less among many samples whatever it knows. At the temperature at which
the mean entropy of its tokens equals the base's at the suite's temperature, that reason is gone (Yue et al. 2025, arXiv
2504.13837). One temperature a benchmark, as published.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from conf.schema import Suite
from data import suite as suites
from data.items import Decoding, Item
from evaluation import parts
from evaluation.drift import Model, Pair
from evaluation.grade import SCHEMA, Wanted, grade
from evaluation.quadrants import MATCHED
from evaluation.reach import mean_share, pass_at_ks, powers_of_two
from evaluation.scores import GREEDY
from evaluation.statistics import Array
from models import generate, prompt_ids, response_text
from models.comparing import entropies
from models.seeds import stream

SAMPLES = 4  # of each item, from which the entropy at a temperature is taken
TOLERANCE = 0.02  # of the base's entropy, within which it is matched
WIDEST = 8.0  # times the suite's temperature, or part of it, that is tried
STEPS = 8  # halvings
CERTAIN = 1e-3  # nats a token below which the base has no entropy to match

Cell = dict[str, Any]
Written = tuple[list[list[int]], list[list[float]]]


class Sampler(NamedTuple):
    """What samples responses to the items of one benchmark."""

    pair: Pair
    suite: Suite
    how: Decoding
    items: list[Item]

    def wanted(self, samples: int) -> list[Wanted]:
        return [(item, sample) for item in self.items for sample in range(1, samples + 1)]

    def prompts(self, samples: int) -> list[list[int]]:
        ids = [prompt_ids(self.pair.tokenizer, item.prompt, item.shots) for item in self.items]
        return [own for own in ids for _ in range(samples)]

    def written(self, model: Any, temperature: float, samples: int, purpose: str) -> Written:
        """Responses and their tokens' log-probabilities, from streams of their own: `purpose` names them."""
        logps: list[list[float]] = []
        tokenizer, hardware = self.pair.tokenizer, self.pair.configuration.hardware
        found = generate(
            model,
            self.prompts(samples),
            end_id=tokenizer.eos_token_id,
            pad_id=tokenizer.pad_token_id,
            max_new_tokens=self.how.max_new_tokens,
            temperature=temperature,
            top_p=self.how.top_p,
            seeds=[stream(self.suite.seed, purpose, item.id, sample) for item, sample in self.wanted(samples)],
            batch_size=self.suite.batch_size,
            batch_tokens=hardware.generation_tokens,
            logps=logps,
        )
        return found, logps

    def entropy(self, model: Any, temperature: float) -> float:
        """Mean over the tokens of SAMPLES responses an item, the same streams at every temperature."""
        found, _ = self.written(model, temperature, SAMPLES, "entropy")
        texts = list(zip(self.prompts(SAMPLES), found, strict=True))
        own = entropies(model, texts, self.pair.tokenizer.pad_token_id, temperature)
        return float(np.concatenate(own).mean())


def matched(pair: Pair, suite: Suite, sides: Sequence[Model]) -> Cell:
    """{benchmarks, responses}: by benchmark the temperature and what it was matched on, and pass@k on the same items of
    base, tuned and the tuned model at that temperature, in percent; or the `reason` why none was matched. `sides`: base
    and tuned with the evaluations of `suite`. Graded responses go into MATCHED."""
    asked, found, rows = pair.configuration.drift, {}, []
    every = suites.told(suite, suites.items(suite))
    for name, how in suites.decoding(suite).items():
        own = [item for item in every if item.benchmark == name][: asked.reach_matched_items]
        samples = asked.reach_matched_samples or how.samples
        if own and samples:
            cell, graded = _benchmark(Sampler(pair, suite, how, own), samples, sides)
            found[name] = {"group": own[0].group, **cell}
            rows += graded
    parts.write(pa.Table.from_pylist(rows, schema=SCHEMA), pair.out / MATCHED)
    return {"benchmarks": found, "responses": len(rows)}


def _benchmark(sampler: Sampler, samples: int, sides: Sequence[Model]) -> tuple[Cell, list[Cell]]:
    pair, normal = sampler.pair, sampler.how.temperature
    goal = sampler.entropy(pair.base.model, normal)
    about: Cell = {"suite_temperature": normal, "entropy_base": goal}
    if goal < CERTAIN:
        return about | {"reason": "the base is certain of every token: there is no entropy to match"}, []
    tried: dict[float, float] = {}

    def entropy(temperature: float) -> float:
        tried[temperature] = sampler.entropy(pair.tuned.model, temperature)
        return tried[temperature]

    temperature = temperature_of(entropy, goal, normal)
    about |= {"entropy_tuned": tried[normal], "tried": len(tried)}
    if temperature is None:
        return about | {"reason": f"no temperature within a factor of {WIDEST:g} gives the base's entropy"}, []
    ids, logps = sampler.written(pair.tuned.model, temperature, samples, "entropy-matched")
    texts = [response_text(pair.tokenizer, own) for own in ids]
    workers = pair.configuration.hardware.reward_workers
    rows = grade(sampler.wanted(samples), texts, ids, pair.tokenizer.eos_token_id, workers, logps)
    about |= {"temperature": temperature, "entropy_matched": tried[temperature], "items": len(sampler.items)}
    return about | {"samples": samples, "curves": _curves(sampler, rows, sides)}, rows


def temperature_of(entropy: Any, goal: float, normal: float) -> float | None:
    """The temperature at which `entropy` is `goal` within TOLERANCE, by doubling away from `normal` until it is passed,
    then by halving the interval on a log scale, STEPS times at most; the closest tried then. None where it is not
    passed within WIDEST."""
    value = entropy(normal)
    best = (abs(value - goal), normal)
    if best[0] <= TOLERANCE * goal:
        return normal
    factor = 2.0 if value < goal else 0.5
    near, far = normal, normal * factor
    while (value := entropy(far)) != goal and (value < goal) == (factor > 1):
        near, far = far, far * factor
        if not normal / WIDEST <= far <= normal * WIDEST:
            return None
    best = min(best, (abs(value - goal), far))
    for _ in range(STEPS):
        if best[0] <= TOLERANCE * goal:
            break
        middle = float(np.sqrt(near * far))
        value = entropy(middle)
        best = min(best, (abs(value - goal), middle))
        near, far = (middle, far) if (value < goal) == (factor > 1) else (near, middle)
    return best[1]


def _curves(sampler: Sampler, rows: Sequence[Cell], sides: Sequence[Model]) -> Cell:
    """k -> pass@k, percent with intervals over items, as many k as all three have samples for."""
    ids = [item.id for item in sampler.items]
    stored = [_stored(one, sampler.items[0].benchmark, ids) for one in sides]
    counted = dict(zip(("base", "tuned", "matched"), (*stored, _counted(rows, ids)), strict=True))
    ks = powers_of_two(int(min(total.min() for _, total in counted.values())))
    return {label: _curve(pass_at_ks(*own, ks), ks) for label, own in counted.items()}


def _curve(passes_IK: Array, ks: Sequence[int]) -> list[Cell]:
    found = []
    for place, k in enumerate(ks):
        values = passes_IK[None, :, place]
        share = mean_share([values]) if values.size > 1 else {"value": float(values.mean())}
        found.append({"k": k, **{key: 100 * value for key, value in share.items()}})
    return found


def _stored(model: Model, benchmark: str, ids: Sequence[str]) -> tuple[Any, Any]:
    wanted = [("sample", ">", GREEDY), ("benchmark", "=", benchmark), ("item", "in", list(ids))]
    table = pq.read_table(model.evaluation / "items.parquet", columns=["item", "outcome"], filters=wanted)
    return _counted(table.to_pylist(), ids)


def _counted(rows: Sequence[Cell], ids: Sequence[str]) -> tuple[Any, Any]:
    """Right and scorable samples of each item."""
    place = {item: number for number, item in enumerate(ids)}
    right, total = np.zeros(len(ids), np.int64), np.zeros(len(ids), np.int64)
    for row in rows:
        if row["outcome"] != "unscorable":
            total[place[row["item"]]] += 1
            right[place[row["item"]]] += row["outcome"] == "right"
    return right, total
