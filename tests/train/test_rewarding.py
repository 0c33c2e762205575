"""Rewards in training: named and weighted, without rows that cannot be scored, and stopped where they mean nothing."""

import pytest

from conf.errors import UserError
from conf.files import read_jsonl
from evaluation import grade
from rewards import Verdict
from rewards.watch import LEAST
from train import rewarding, worker


class State:
    global_step = 0


def call(function, ids, references, logged):
    columns = {
        "kind": ["math"] * len(ids),
        "reference": references,
        "prompts": ["1+1"] * len(ids),
        "trainer_state": State,
        "log_metric": logged.__setitem__,
    }
    return function(ids, **columns)


@pytest.fixture
def rewarded(configure, base, tmp_path):
    """The reward functions of a configuration, a function from texts to ids, and where metrics go."""
    from models.loading import load_tokenizer
    from train.records import Records

    tokenizer = load_tokenizer(str(base), False)

    def make(**changes):
        records = Records(tmp_path, 0)
        return rewarding.functions(configure("grpo", **changes), tokenizer, records)

    return make, lambda *texts: [tokenizer.encode(text, add_special_tokens=False) for text in texts]


def test_functions_are_named_as_they_are_logged_and_leave_out_what_cannot_be_scored(rewarded):
    make, ids = rewarded
    functions = make(
        recipe__reward_funcs=["accuracy", "well_formed", "soft_overlong"],
        recipe__soft_overlong_cache=112,
    )
    batch, logged = ids("\\boxed{2}", "\\boxed{3}", "2", "\\boxed{2}"), {}
    rewards = {f.__name__: call(f, batch, ["2", "2", "2", ""], logged) for f in functions}
    assert rewards["accuracy"] == [1, 0, 0, None]
    assert rewards["well_formed"] == [1, 1, 0, None]
    assert rewards["soft_overlong"] == [pytest.approx(-len(row) / 112) for row in batch[:3]] + [None]
    assert logged == {"rewards/unscorable_share": 0, "rewards/bad_reference_share": 0.25}


def test_training_stops_where_too_much_cannot_be_judged(rewarded, monkeypatch):
    make, ids = rewarded
    monkeypatch.setattr(
        rewarding, "verify_many", lambda requests, _: [Verdict("unscorable", "timeout")] * len(requests)
    )
    with pytest.raises(UserError, match=r"100% of the last .* \(timeout"):
        call(make()[0], ids(*["\\boxed{2}"] * LEAST), ["2"] * LEAST, {})


def test_weighted_rewards_are_logged_by_name(configure, run_folder):
    changes = {
        "train__steps": 1,
        "train__save_steps": 1,
        "recipe__reward_funcs": ["accuracy", "soft_overlong"],
        "recipe__reward_weights": [1.0, 0.5],
        "recipe__soft_overlong_cache": 112,
    }
    folder = run_folder(configure("grpo", **changes))
    worker.run(folder)
    [row] = read_jsonl(folder / "metrics.jsonl")
    parts = row["rewards/accuracy/mean"] + 0.5 * row["rewards/soft_overlong/mean"]
    assert row["rewards/soft_overlong/mean"] < 0 and row["reward"] == pytest.approx(parts, abs=1e-4)


def test_no_run_starts_on_a_verifier_that_misjudges_known_answers(configure, run_folder, monkeypatch):
    monkeypatch.setattr(grade, "_checked", set())
    monkeypatch.setattr(grade.canary, "failures", lambda kinds, workers: ["math: 1 is right"] if kinds else [])
    folder = run_folder(configure("grpo"))
    with pytest.raises(UserError, match="misjudge 1 known answers"):
        worker.run(folder)
    assert not (folder / "metrics.jsonl").exists()
