"""Reach against brute force: every subset of samples enumerated, every crossing searched, every set counted."""

from dataclasses import replace
from itertools import combinations
from math import comb, exp, inf, log

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from conf.files import write_json
from evaluation import exploration, quadrants, reach
from evaluation.exploration import Forms
from evaluation.reach import Counted
from evaluation.report import draw_reach, likely, tables_reach
from evaluation.report import reach as report
from evaluation.report.read import read_experiment
from evaluation.statistics import pass_at_k
from tests.evaluation.folders import write_evaluation, write_experiment


def test_curves_agree_with_the_slow_reference():
    rng = np.random.default_rng(0)
    total = rng.integers(1, 1025, 40)
    right = np.array([rng.integers(0, n + 1) for n in total])
    right[:3], right[3:6] = 0, total[3:6]
    ks = reach.powers_of_two(1024)
    assert ks[0] == 1 and ks[-1] == 1024 and reach.powers_of_two(7) == [1, 2, 4] and reach.powers_of_two(0) == []
    found = reach.pass_at_ks(right, total, ks)
    for n, c, row in zip(total, right, found, strict=True):
        for k, value in zip(ks, row, strict=True):
            if n < k:
                assert np.isnan(value)
            else:
                assert value == pytest.approx(pass_at_k(int(n), int(c), k), abs=1e-10)


def test_a_mean_has_doubt_even_where_all_items_agree():
    all_right = reach.mean_share([np.ones((3, 10)), np.ones((3, 10))])
    assert all_right["value"] == 1.0 and 0.8 < all_right["low"] < 1.0 and all_right["high"] == 1.0
    mixed = reach.mean_share([np.array([[0.0, 1.0, 1.0, 1.0]])])
    assert mixed["value"] == 0.75 and mixed["high"] == 1.0


def slow_crossing(gap, ks):
    """Search on a fine grid of log k for the smallest from which every later gap is below 0."""
    fine = np.linspace(0, log(ks[-1], 2), 20001)
    below = np.interp(fine, np.log2(ks), gap) < 0
    if not below[-1]:
        return inf
    return 2 ** fine[len(below) - np.argmin(below[::-1]) if not below.all() else 0]


def test_crossings_agree_with_a_search():
    ks = [1, 2, 4, 8, 16]
    gaps = np.random.default_rng(1).normal(0, 1, (300, 5))
    found = reach.crossing(gaps, ks)
    assert found == pytest.approx([slow_crossing(gap, ks) for gap in gaps], rel=2e-3)
    told = reach.crossing(np.array([[3.0, 1, -1, -2, -2], [-1, -1, -1, -1, -1], [3, 2, 1, 0, 0]]), ks)
    assert told == pytest.approx([2**1.5, 1.0, inf])


def test_a_crossover_has_an_interval_and_says_where_there_is_none():
    ks, rng = [1, 2, 4, 8], np.random.default_rng(2)
    slope = np.array([0.3, 0.1, -0.1, -0.3])
    near = reach.crossover([slope + rng.normal(0, 0.05, (3, 40, 1)) for _ in range(2)], ks)
    assert near["low"] < near["k"] < near["high"] and near["k"] == pytest.approx(2**1.5, rel=0.1)
    assert near["crossed"] == 1.0 and len(near["seeds"]) == 3
    never = reach.crossover([0.3 + rng.normal(0, 0.05, (1, 40, 4))], ks)
    assert never["k"] is never["low"] is never["high"] is None and never["crossed"] == 0 and never["seeds"] == [None]
    apart = [slope + shift for shift in (-0.2, 0.0, 0.2)]  # the same items, seeds that disagree
    wide = reach.crossover([np.array(apart)[:, None] + rng.normal(0, 0.01, (3, 40, 1))], ks)
    assert wide["low"] < near["low"] and (wide["high"] is None or wide["high"] > near["high"])


@pytest.mark.slow
def test_crossover_intervals_hold_the_truth():
    """Items of two models with known chances; the true curves cross at a known k."""
    ks, rng, held = reach.powers_of_two(64), np.random.default_rng(3), 0
    base_p, tuned_p = rng.beta(0.6, 1.2, 100_000), rng.beta(0.25, 0.35, 100_000)
    curve = np.array([np.mean((1 - base_p) ** k - (1 - tuned_p) ** k) for k in ks])
    truth = reach.crossing(curve, ks)
    for draw in range(300):
        items = rng.integers(0, 100_000, 80)
        base, tuned = (rng.binomial(64, p[items]) for p in (base_p, tuned_p))
        both = [reach.pass_at_ks(right, np.full(80, 64), ks) for right in (tuned, base)]
        found = reach.crossover([(both[0] - both[1])[None]], ks, seed=draw, draws=500)
        held += (found["low"] or inf) <= truth <= (found["high"] or inf)
    assert held / 300 >= 0.95 - 2.5 * (0.95 * 0.05 / 300) ** 0.5


def test_sets_are_counted_and_chance_has_its_own():
    base = Counted(np.array([0, 1, 2, 4]), np.full(4, 4))
    tuned = Counted(np.array([[2, 0, 1, 4], [0, 0, 3, 4]]), np.full((2, 4), 4))
    sets = reach.solvable(base, tuned, 4)
    assert sets.both.tolist() == [[0, 0, 1, 1], [0, 0, 1, 1]] and sets.base_only[0].tolist() == [0, 1, 0, 0]
    assert sets.tuned_only[0].tolist() == [1, 0, 0, 0] and sets.neither[1].tolist() == [1, 0, 0, 0]
    often = reach.solvable(base, tuned, 4, least=2)
    assert often.base_only[0].tolist() == [0, 0, 1, 0] and reach.often(4) == 2 and reach.often(256) == 13
    null = reach.halves(base, 2)
    for i, (c, n) in enumerate(zip(base.right, base.total, strict=True)):
        samples = [1] * c + [0] * (n - c)
        ways = [set(chosen) for chosen in combinations(range(n), 2)]
        first = [any(samples[i] for i in way) for way in ways]
        second = [any(samples[i] for i in range(n) if i not in way) for way in ways]
        pairs = list(zip(first, second, strict=True))
        assert null.both[i] == pytest.approx(pairs.count((True, True)) / len(ways))
        assert null.base_only[i] == pytest.approx(pairs.count((True, False)) / len(ways))
        assert null.tuned_only[i] == pytest.approx(pairs.count((False, True)) / len(ways))
        assert null.neither[i] == pytest.approx(pairs.count((False, False)) / len(ways))
    chance = reach.missed_by_half(256)
    assert (1 - chance) ** 256 == pytest.approx(0.5)


def test_the_histogram_has_the_published_bins():
    right = np.array([0, 1, 2, 3, 10, 19, 20, 0])
    total = np.array([20, 20, 20, 20, 20, 20, 20, 0])
    found = reach.histogram(Counted(right, total)) * 7
    assert found == pytest.approx([1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 1, 1])  # 0; .05 and .1; .15; .5; .95; 1
    assert len(reach.bin_names()) == reach.BINS == len(found)


def slow_rarefaction(counts, m):
    """Mean number of distinct forms, and exp of the mean entropy, over every choice of m right samples."""
    forms = [form for form, count in enumerate(counts) for _ in range(count)]
    numbers, entropies = [], []
    for chosen in combinations(forms, m):
        shares = [chosen.count(form) / m for form in set(chosen)]
        numbers.append(len(shares))
        entropies.append(-sum(share * log(share) for share in shares))
    assert len(numbers) == comb(len(forms), m)
    return np.mean(numbers), exp(np.mean(entropies))


def test_rarefaction_agrees_with_every_choice():
    counts = {"a": [5, 2, 1, 1], "b": [3], "c": [1, 1, 1, 2], "d": [4, 4]}
    item = np.repeat(np.arange(4), [len(own) for own in counts.values()])
    forms = Forms(list(counts), item, np.concatenate([np.array(own) for own in counts.values()]))
    assert forms.right == {"a": 9, "b": 3, "c": 5, "d": 8}
    sizes = {"d": 3, "a": 4, "c": 5}  # another order, and one item left out
    numbers, effective = exploration.distinct(forms, sizes)
    for place, (name, m) in enumerate(sizes.items()):
        assert (numbers[place], effective[place]) == pytest.approx(slow_rarefaction(counts[name], m))
    with pytest.raises(ValueError, match="fewer right samples"):
        exploration.distinct(forms, {"b": 4})


def rows(benchmark, item, answers, reference="7", kind="math", strategy="steps"):
    return [
        {
            **{"benchmark": benchmark, "item": item, "kind": kind, "sample": place, "reference": reference},
            **{"response": text, "extracted": answer, "outcome": "right" if answer == reference else "wrong"},
            "strategy": strategy,
        }
        for place, (text, answer) in enumerate(answers)
    ]


def test_forms_and_guesses_are_read_from_the_stored_responses():
    said = [("greedy", "7"), ("So  7", "7"), ("so 7 ", "7"), ("Well, 7", "7"), ("so 8", "8")]
    table = [*rows("x", "x-1", said), *rows("x", "x-2", [("g", "8"), ("7!", "7"), ("8", "8"), ("8", "8")], "8")]
    table += rows("y", "y-1", [("g", "7"), ("7", "7")], kind="code", strategy="")
    samples = pa.Table.from_pylist(table).filter(pc.field("sample") > 0)
    found = exploration.forms(samples.filter(pc.field("outcome") == "right"))
    of_x = found["forms"]["x"]
    first = of_x.items.index("x-1")
    assert sorted(of_x.times[of_x.item == first].tolist()) == [1, 2] and of_x.right == {"x-1": 3, "x-2": 2}
    assert found["strategies"]["x"].times.tolist() == [3, 2] and "y" not in found["strategies"]
    guessed = exploration.guesses(samples)
    assert list(guessed) == ["x"]
    items, counted = guessed["x"]
    assert dict(zip(items, zip(counted.right, counted.total, strict=True), strict=True)) == {
        "x-1": (1, 3),
        "x-2": (1, 4),
    }


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    root = write_experiment(tmp_path_factory.mktemp("runs") / "tiny", seeds=(0, 1))
    skills = {"base": 0.5, "sft": 0.2, "grpo": 0.9}
    for folder in root.rglob("evaluation/step-000040"):
        label = folder.parent.parent.parent.name
        write_evaluation(folder / "suites/many", 40, dict.fromkeys(GROUPS, skills[label]), 0, **MANY)
    write_evaluation(root / "base/evaluation/suites/many", 0, dict.fromkeys(GROUPS, 0.5), 0, **MANY)
    return root, read_experiment(root)


GROUPS = ("math", "non_reasoning")
MANY = {
    "benchmarks": {"chain": "math", "fact": "non_reasoning"},
    "items": 8,
    "samples": 20,
    "say": "<script>no</script>",
}


def table_of(folder):
    return pq.read_table(folder / "items.parquet").to_pylist()


def test_the_report_counts_what_the_files_hold(found):
    root, experiment = found
    main, many = report.reach(experiment)
    assert (main["suite"], main["main"], many["suite"], many["main"]) == ("embedded", True, "many", False)
    assert main["benchmarks"]["add"]["most"] == 4 and many["benchmarks"]["chain"]["most"] == 16
    base, *seeds = (
        counts(table_of(root / place / "suites/many"))
        for place in ("base/evaluation", *(f"arms/grpo/seed-{s}/evaluation/step-000040" for s in (0, 1)))
    )
    curve = {one["k"]: one["value"] for one in many["curves"]["grpo"]["benchmarks"]["chain"]}
    assert list(curve) == [1, 2, 4, 8, 16]
    for k, value in curve.items():
        expected = [pass_at_k(n, c, k) for own in seeds for n, c in own["chain"].values()]
        assert value == pytest.approx(100 * np.mean(expected))
    grpo = many["arms"]["grpo"]["benchmarks"]["chain"]
    one = np.mean([c / n for own in seeds for n, c in own["chain"].values()])
    reached = np.mean([pass_at_k(n, c, 16) for n, c in base["chain"].values()])
    assert grpo["efficiency"]["difference"] == pytest.approx(100 * (reached - one)) and grpo["k"] == 16
    assert sum(grpo["sets"]["once"][who] for who in ("both", "base_only", "tuned_only", "neither")) == pytest.approx(
        100
    )
    none = report.gap([np.zeros((3, 30))])
    assert none["difference"] == 0 and none["low"] == -none["high"] and 10 < none["high"] < 13  # Wilson, 0 of 30
    steps = many["steps"]["grpo"][0]
    assert steps["steps"] == [0, 20, 40] and steps["groups"]["math"]["first"][1] is None  # not scored at step 20
    assert main["steps"]["sft"][0]["groups"]["math"]["last"][1] is not None
    assert many["arms"]["grpo"]["benchmarks"]["chain"]["explored"]["forms"]["distinct"]["difference"] == 0.0  # one text


def counts(rows):
    """Benchmark -> item -> samples, and right ones."""
    table: dict = {}
    for row in rows:
        if row["sample"]:
            cell = table.setdefault(row["benchmark"], {}).setdefault(row["item"], [0, 0])
            cell[0] += 1
            cell[1] += row["outcome"] == "right"
    return table


def test_who_was_not_sampled_is_named_and_figures_and_tables_stand(found, tmp_path):
    root, experiment = found
    arms = [replace(run, evaluations=run.evaluations[:1]) if run.arm == "sft" else run for run in experiment.runs]
    main, many = report.reach(replace(experiment, runs=arms))
    assert many["lacking"] == ["sft"] and list(many["arms"]) == ["grpo"] and not main["lacking"]
    results = {"reach": [main, many], "arms": {"sft": {}, "grpo": {}}}
    for name, draw in draw_reach.drawn(results).items():
        figure = draw(results)
        assert (figure is None) == (name == "reach_steps_many")  # base and one step are no course
    curves = list(tables_reach.curves(results))
    assert {row["suite"] for row in curves} == {"embedded", "many"} and {"low", "high", "k"} <= set(curves[0])
    for table in (tables_reach.arms, tables_reach.explored, tables_reach.steps, tables_reach.histogram):
        assert list(table(results))


def write_measured(folder, seed, right):
    """What the measure `reach` leaves of a checkpoint: two items that both solved, and responses at one temperature."""
    rows = [
        {
            "benchmark": "add",
            "group": "math",
            "item": f"add-{n}",
            **dict.fromkeys(quadrants.QUADRANTS, 0.1 * (n + seed)),
        }
        | {"tuned_likelier": 0.25}
        for n in range(2)
    ]
    matched = [
        {"benchmark": "add", "item": f"add-{n}", "outcome": "right" if s < right else "wrong"}
        for n in range(2)
        for s in range(4)
    ]
    told = {"group": "math", "suite_temperature": 1.0, "temperature": 1.5, "samples": 4, "entropy_base": 0.4}
    told |= {"entropy_tuned": 0.2, "entropy_matched": 0.4}
    values = {"suite": "embedded", "retokenised": 0.0, **quadrants.cells([rows])}
    values["matched"] = {"benchmarks": {"add": told, "polite": {"group": "non_reasoning", "reason": "<b>certain</b>"}}}
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=quadrants.SCHEMA), folder / quadrants.FILE)
    pq.write_table(pa.Table.from_pylist(matched), folder / quadrants.MATCHED)
    write_json(folder / "result.json", {"step": 40, "label": "", "values": values, "seconds": 1.0})


def test_perplexities_and_matched_samples_are_joined_over_seeds(found):
    root, _ = found
    for seed, right in ((0, 4), (1, 2)):
        write_measured(root / f"arms/grpo/seed-{seed}/evaluation/step-000040/drift/reach", seed, right)
    experiment = read_experiment(root)
    told = likely.likely(experiment)
    assert list(told) == ["grpo"] and told["grpo"]["seeds"] == [0, 1]
    cell = told["grpo"]["cells"]["groups"]["math"]
    assert np.log(cell["tuned_by_base"]["value"]) == pytest.approx(0.1 * np.mean([0, 1, 1, 2])) and cell["items"] == 2
    assert told["grpo"]["steps"][1]["groups"]["math"]["ratio"] == [1.0]
    own = told["grpo"]["matched"]["benchmarks"]["add"]
    base = counts(table_of(root / "base/evaluation"))["add"]
    wanted = np.mean([pass_at_k(*base[f"add-{n}"], 1) for n in range(2)])
    assert own["matched"]["first"] == pytest.approx(75.0) and own["k"] == 4 and own["temperature"] == 1.5
    assert own["first_gap"]["difference"] == pytest.approx(75 - 100 * wanted)
    assert "reason" in told["grpo"]["matched"]["benchmarks"]["polite"]
    results = {"likely": told}
    assert len(list(tables_reach.likely(results))) == 4 and len(list(tables_reach.matched(results))) == 3
