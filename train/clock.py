"""Where the seconds of a step go, the same way in every trainer."""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class Clock:
    """Seconds of the present step by phase, in this process."""

    def __init__(self, phases: Sequence[str]) -> None:
        """`phases`: those that are told of every step, at 0 where they took no time."""
        self.phases = phases
        self.clear()

    def clear(self) -> None:
        self.begun: float | None = None
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def start(self) -> None:
        """The step begins now, unless it has begun."""
        if self.begun is None:
            self.begun = time.monotonic()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the seconds inside under `name`; phases do not lie in one another."""
        start = time.monotonic()
        yield
        self.seconds[name] += time.monotonic() - start

    def tell(self) -> dict[str, float]:
        """seconds/<phase> of the step, and seconds/update, which is all the rest of it: the passes forward and
        backward, and the optimizer. Empty where no step has begun. The next one may begin."""
        if self.begun is None:
            return {}
        apart = {name: self.seconds[name] for name in self.phases}
        apart["update"] = time.monotonic() - self.begun - sum(apart.values())
        self.clear()
        return {f"seconds/{name}": took for name, took in apart.items()}
