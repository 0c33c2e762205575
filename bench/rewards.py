"""How fast verdicts are, and whether hopeless answers and killed workers can harm the others."""

import math
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psutil

from bench import Figure, corpus
from rewards import Request, Verdict, verify_many

WORKERS = 2
LIMIT = 5.0  # seconds
THOUGHT = "Let x be the number of apples. Then 2x + 3 = 11, so x = 4, and twice that is 8. " * 20
ENDLESS = [
    "9^{9^{9^{9}}}",
    "2^{2^{2^{2^{2^{2}}}}}",
    "10^{10^{10}}!",
    "(x+1)^{1000000}",
    "{" * 400 + "}" * 400,
]
BRACES = "{" * 50_000 + "}" * 50_000  # 100 kB


def figures() -> Iterator[Figure]:
    """The promises of `rewards`, in the order of the time they take."""
    yield Figure("verdicts on plain numbers", rate(numbers(20_000), 0), 50_000, "verdicts/s", True)
    ordinary = [request(line) for line in corpus.load()]
    verify_many(ordinary[:100], WORKERS)  # the workers are warm
    yield Figure(f"{corpus.NAME}, {WORKERS} workers", rate(ordinary, WORKERS), 100, "verdicts/s", True)
    tried = [endless(seed) for seed in range(3)]
    yield Figure(f"512 with 5 endless, limit {LIMIT:g} s", min(s for s, _ in tried), LIMIT + 1, "s", False)
    yield Figure("wrong verdicts among the other 507", max(wrong for _, wrong in tried), 0, "verdicts", False)
    harmed, killed = disturbed(random.Random(0))
    yield Figure("5,000 while workers are killed: lost, reordered or wrong", harmed, 0, "verdicts", False)
    yield Figure("workers killed meanwhile", killed, 20, "workers", True)


def request(line: dict[str, Any]) -> Request:
    """A line of the corpus as a request."""
    return Request("math", f"{THOUGHT}Thus \\boxed{{{line['answer']}}}.", line["reference"], {"timeout": LIMIT})


def numbers(count: int, seed: int = 0) -> list[Request]:
    """Requests that need no algebra: integers, decimals and fractions, half of them right."""
    rng = random.Random(seed)
    forms: Sequence[Callable[[int], str]] = [str, lambda n: str(n / 100), lambda n: f"\\frac{{{n}}}{{7}}"]
    found = []
    for _ in range(count):
        form, n = rng.choices(forms, [4, 1, 1])[0], rng.randint(1, 99_999)
        given = n if rng.random() < 0.5 else rng.randint(1, 99_999)
        found.append(Request("math", f"{THOUGHT}Thus \\boxed{{{form(given)}}}.", form(n)))
    return found


def rate(requests: list[Request], workers: int, times: int = 3) -> float:
    """Verdicts a second, at best of several times, for the machine may be busy with something else."""
    return len(requests) / min(clocked(requests, workers)[0] for _ in range(times))


def clocked(requests: list[Request], workers: int) -> tuple[float, list[Verdict]]:
    """Seconds and verdicts."""
    start = time.perf_counter()
    verdicts = verify_many(requests, workers)
    return time.perf_counter() - start, verdicts


def endless(seed: int = 0) -> tuple[float, int]:
    """Seconds for 512 answers of which 5 never end, anywhere among them, and how many others were judged wrongly."""
    lines = [(line, line["equal"]) for line in corpus.load()[:506]]
    bad = [({"answer": text, "reference": "42"}, False) for text in [*ENDLESS, BRACES]]
    batch = lines + bad
    random.Random(seed).shuffle(batch)
    seconds, verdicts = clocked([request(line) for line, _ in batch], WORKERS)
    wrong = sum(
        (verdict.outcome == "right") != equal or (verdict.outcome == "unscorable" and line["answer"] not in ENDLESS)
        for (line, equal), verdict in zip(batch, verdicts, strict=True)
    )
    return seconds, wrong


def disturbed(rng: random.Random) -> tuple[int, int]:
    """How many of 5,000 verdicts differ from the undisturbed ones, and how many workers were killed meanwhile."""
    requests = numbers(4000) + [request(line) for line in corpus.load()]
    rng.shuffle(requests)
    expected = verify_many(requests, WORKERS)
    with killing(rng) as killed:
        found = verify_many(requests, WORKERS)
    return sum(a != b for a, b in zip(expected, found, strict=True)), len(killed)


@contextmanager
def killing(rng: random.Random, pause: float = 0.3, most: float = math.inf) -> Iterator[list[int]]:
    """Meanwhile random workers are killed, `pause` seconds apart on average, so many at `most`; the process ids."""
    killed: list[int] = []
    over = threading.Event()

    def kill() -> None:
        while not over.wait(rng.uniform(0, 2 * pause)) and len(killed) < most:
            with suppress(psutil.NoSuchProcess):  # it went by itself
                workers = [worker for server in psutil.Process().children() for worker in server.children()]
                if workers:
                    victim = rng.choice(workers)
                    victim.kill()
                    killed.append(victim.pid)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()
