"""Which items stand on the page, what is counted of them, how their texts are cut; and the page in a real browser."""

import shutil

import pytest

from bench.browser import browser, chromium
from evaluation.report import explorer, results_of, write_report
from evaluation.report.read import read_experiment
from tests.evaluation.folders import BENCHMARKS, write_experiment, write_sweep

HOSTILE = '\u2028</script><script>window.harmed = 1</script><img src=x onerror="window.harmed = 2">&lt;b&gt; Ω'


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = write_experiment(tmp_path_factory.mktemp("runs") / "tiny", seeds=(0, 1), say=HOSTILE)
    write_sweep(root)
    return root, results_of(root)


def by_hand(root):
    """(benchmark, arm, change) -> items at the compared checkpoint: of the first seed, of both."""
    found = {}
    experiment = read_experiment(root)
    base = {key: row["outcome"] for key, row in experiment.base.greedy_responses().items()}
    for arm, runs in experiment.arms.items():
        for place, run in enumerate(runs):
            for key, row in run.last.greedy_responses().items():
                what = {
                    ("right", "wrong"): "base right, arm wrong",
                    ("wrong", "right"): "base wrong, arm right",
                    ("right", "right"): "both right",
                    ("wrong", "wrong"): "both wrong",
                }[base[key], row["outcome"]]
                cell = found.setdefault((key[0], arm, what), [0, 0])
                cell[0] += place == 0
                cell[1] += 1
    return found


def test_counts_are_of_every_item_and_seed(made):
    root, results = made
    counts = results["explorer"]["counts"]
    for (benchmark, arm, what), cell in by_hand(root).items():
        assert counts[benchmark][arm][what] == cell
    for benchmark in BENCHMARKS:
        own = counts[benchmark]["sft"]
        assert own["items"] == [30, 60]
        assert own["any change"][1] == own["base right, arm wrong"][1] + own["base wrong, arm right"][1]


def test_changed_items_come_first_and_every_benchmark_has_its_share(monkeypatch):
    letters = {("a", str(n)): "rw" if n % 2 else "rr" for n in range(100)} | {("b", "0"): "ww", ("b", "1"): "wr"}
    chosen = explorer._chosen(letters)
    assert len(chosen) == 102 and [len(set(letters[key])) for key in chosen] == [2] * 51 + [1] * 51
    monkeypatch.setattr(explorer, "MOST_ITEMS", 4)
    assert explorer._chosen(letters) == [("a", "1"), ("a", "3"), ("a", "5"), ("b", "1")]


def test_a_long_text_keeps_both_ends_and_says_what_is_gone():
    text = explorer._ends("start" + "x" * 9000 + "end")
    short = explorer.cut(text, 250)
    assert short.startswith("start") and short.endswith("end") and "8,758 characters left out" in short
    assert explorer.cut(explorer._ends("y" * 4000), 4000) == "y" * 4000 and len(explorer.cut(text, 4000)) < 4100


def test_few_texts_are_kept_where_they_would_be_too_many(monkeypatch):
    keys = [("a", str(n)) for n in range(10)]
    texts = {"base": {key: {"response": explorer._ends("ü" * 4000)} for key in keys}}
    assert explorer._longest(texts, keys) == 4000
    monkeypatch.setattr(explorer, "MOST_BYTES", 25_000)
    assert explorer._longest(texts, keys) == 1000


@pytest.mark.slow
@pytest.mark.skipif(chromium() is None, reason="no Chromium is installed")
def test_the_page_works_in_a_browser_and_what_models_wrote_is_inert(made):
    root, _ = made
    hostile = "<img src=x onerror='window.harmed=3'>"
    shutil.copytree(root / "arms/grpo", root / "arms" / hostile)
    index = write_report(root)
    with browser() as page:
        page.open(index)
        assert page.complaints() == [] and page.run("window.harmed") is None
        drawn = page.run("Array.from(document.images).map(one => one.complete && one.naturalWidth > 50)")
        assert len(drawn) >= 7 and all(drawn)
        assert page.run("document.querySelector('#explorer pre').textContent.length") > 0
        assert HOSTILE in page.run("Array.from(document.querySelectorAll('#explorer pre')).map(one => one.textContent)")
        assert hostile in page.run("document.querySelector('#explorer').textContent")
        first = page.run(f"{STATUS}.dataset.count")
        picked = page.run(CHOOSE % ("add", "grpo", "base wrong, arm right"))
        expected = by_hand(root)["add", "grpo", "base wrong, arm right"][0]
        assert int(picked) == expected < int(first)
        assert f"in the whole suite {expected} do" in page.run(f"{STATUS}.textContent")
        assert page.run("document.querySelectorAll('#explorer .sample:first-of-type .col').length") == 2
        assert page.run(SEARCH % "no such text") == "0" and int(page.run(SEARCH % "ADD 1")) >= 1
        for pixels in (390, 1200):
            page.width(pixels)
            assert page.run("document.documentElement.scrollWidth") <= pixels
        assert page.complaints() == []


STATUS = "document.querySelector('#explorer .status')"
CHOOSE = """(() => {
    const fields = document.querySelectorAll('#explorer select');
    ['%s', '%s', '%s'].forEach((value, n) => {
        fields[n].value = value;
        fields[n].dispatchEvent(new Event('change'));
    });
    return document.querySelector('#explorer .status').dataset.count;
})()"""
SEARCH = """(() => {
    const field = document.querySelector('#explorer input');
    field.value = '%s';
    field.dispatchEvent(new Event('input'));
    return document.querySelector('#explorer .status').dataset.count;
})()"""
