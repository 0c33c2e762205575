import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from bench import corpus
from bench import rewards as measured
from rewards import Request, verify, verify_many, workers
from rewards.mathematics import compare, judge, prepare, prepare_aside
from rewards.verdict import Task

ROOT = Path(__file__).parents[2]
ENDLESS = ["10^{10^{10}}", "9^{9^{9^{9}}}", "10^{10^{10}}!", "{" * 400 + "}" * 400, "\\sum_{n=1}^{10^9}n^n"]


def comparison(gold, answer, timeout=5.0):
    return Task(compare, (gold, answer), timeout, answer, prepare)


def living():
    """The processes of idle and busy workers."""
    return [worker for server in psutil.Process().children() for worker in server.children()]


def sleep_and_tell(seconds, told):
    time.sleep(seconds)
    return "right", told


def fail(error):
    raise error


def priority():
    return "right", os.getpriority(os.PRIO_PROCESS, 0)


def meet(folder, name, number):
    """Wait until so many have come."""
    (Path(folder) / name).touch()
    while len(list(Path(folder).iterdir())) < number:
        time.sleep(0.02)
    return "right", "met"


@pytest.mark.parametrize("answer", ENDLESS)
def test_the_time_limit_kills_off_the_main_thread(answer):
    found = []
    question = ("math", f"\\boxed{{{answer}}}", "5")
    thread = threading.Thread(target=lambda: found.append(verify(*question, timeout=0.3)))
    thread.start()
    thread.join(60)
    assert (found[0].outcome, found[0].reason) == ("unscorable", "timeout")
    assert verify("math", "\\boxed{\\sqrt{8}}", "2\\sqrt{2}").outcome == "right"


def test_many_keep_their_order_beside_endless_ones():
    answers = [("\\sqrt{8}", "right"), ("\\sqrt{7}", "wrong"), ("9^{9^{9^{9}}}", "unscorable"), ("x", "wrong")] * 3
    requests = [Request("math", f"\\boxed{{{answer}}}", "2\\sqrt{2}", {"timeout": 1}) for answer, _ in answers]
    assert [verdict.outcome for verdict in verify_many(requests, workers=2)] == [outcome for _, outcome in answers]


def test_results_keep_their_order_and_what_else_they_hold():
    rng = random.Random(0)
    tasks = [Task(sleep_and_tell, (rng.uniform(0, 0.02), (str(i), 0.5)), 5.0, None) for i in range(50)]
    assert workers.run(tasks, 3) == [("right", (str(i), 0.5)) for i in range(50)]
    assert workers.run([]) == []


def test_a_score_is_passed_on():
    assert workers.run([Task(tuple, (("right", "match", 0.75),), 5.0, None)]) == [("right", "match", 0.75)]


def test_tasks_that_look_endless_run_at_once_and_give_way(tmp_path):
    tasks = [Task(meet, (str(tmp_path), str(i), 5), 60.0, None, prepare_aside) for i in range(5)]
    assert workers.run(tasks, 1) == [("right", "met")] * 5
    own, theirs = workers.run([Task(priority, (), 5.0, None, by) for by in (prepare, prepare_aside)])
    assert own[1] < theirs[1]


@pytest.mark.parametrize("answer", ENDLESS)
def test_endless_answers_look_endless(answer):
    assert judge(f"\\boxed{{{answer}}}", "5").prepare is prepare_aside


def test_a_dead_worker_is_replaced():
    workers.run([comparison("x", "y")])
    for worker in living():
        worker.kill()
    assert workers.run([comparison("2\\sqrt{2}", "\\sqrt{8}")] * 3) == [("right", "match")] * 3


@pytest.mark.parametrize("quietly", [True, False])
def test_a_task_that_ends_its_worker_is_unscorable_and_harms_no_other(quietly):
    tasks = [comparison("2\\sqrt{2}", "\\sqrt{8}")] * 4
    tasks.insert(2, Task(die, (quietly,), 5.0, None))
    assert workers.run(tasks, 2) == [("right", "match")] * 2 + [("unscorable", "crash")] + [("right", "match")] * 2


def die(quietly):
    if quietly:
        os._exit(3)
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("error", "reason"), [(MemoryError(), "memory"), (RecursionError(), "error"), (KeyError(), "error")]
)
def test_a_task_that_fails_is_unscorable_by_reason(error, reason):
    assert workers.run([Task(fail, (error,), 5.0, None)]) == [("unscorable", reason)]


def test_a_worker_that_takes_too_much_memory_survives():
    assert workers.run([Task(bytearray, (2 * workers.MEMORY,), 5.0, None)]) == [("unscorable", "memory")]


def test_workers_that_cannot_start_are_told(monkeypatch):
    monkeypatch.setattr(workers, "STARTS", 2)
    with pytest.raises(RuntimeError, match="nothing can be judged"):
        workers.run([Task(priority, (), 5.0, None, sys.exit)])
    assert workers.run([comparison("x", "x")]) == [("right", "match")]


def test_threads_may_ask_at_the_same_time():
    found = Counter()

    def ask(n):
        found[n] = verify_many([Request("math", f"\\boxed{{\\sqrt{{{n * n * 2}}}}}", f"{n}\\sqrt{{2}}")] * 3, 2)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(2, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert [[verdict.outcome for verdict in found[n]] for n in range(2, 8)] == [["right"] * 3] * 6


def test_a_forked_child_has_workers_of_its_own():
    script = (
        "import multiprocessing, rewards\n"
        "def ask():\n"
        "    assert rewards.verify('math', r'\\boxed{\\sqrt{8}}', r'2\\sqrt{2}').outcome == 'right'\n"
        "ask()\n"
        "child = multiprocessing.get_context('fork').Process(target=ask)\n"
        "child.start(); ask(); child.join(); assert child.exitcode == 0\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=120)


def test_an_unguarded_script_may_verify_from_anywhere(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import rewards\n"
        "print('ran')\n"
        "print(rewards.verify('math', r'\\boxed{\\sqrt{8}}', r'2\\sqrt{2}').outcome)\n"
    )
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.stdout.split(), done.returncode) == (["ran", "right"], 0), done.stderr


def test_killed_workers_lose_and_reorder_nothing():
    """A short form of the slow test below."""
    requests = [measured.request(line) for line in corpus.load()[:100]] + measured.numbers(200)
    random.Random(1).shuffle(requests)
    expected = verify_many(requests, 2)
    with measured.killing(random.Random(1), pause=0.1, most=8) as killed:
        found = verify_many(requests, 2)
    assert found == expected
    assert killed


@pytest.mark.slow
def test_killed_workers_lose_and_reorder_nothing_among_thousands():
    harmed, killed = measured.disturbed(random.Random(0))
    assert (harmed, killed > 10) == (0, True)


@pytest.mark.slow
def test_endless_answers_harm_no_other_in_a_large_batch():
    for seed in range(2):
        assert measured.endless(seed)[1] == 0
