"""The share of answers that could not be judged, watched while they come in."""

from collections import Counter, deque
from collections.abc import Iterable

from rewards.verdict import Verdict

WINDOW = 512  # verdicts that the share is taken over
LEAST = 64  # verdicts before it means anything


class Watch:
    """Counts unscorable verdicts by reason, and tells when their share passes `limit` (0 to 1)."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.recent: deque[str | None] = deque(maxlen=WINDOW)

    def see(self, verdicts: Iterable[Verdict]) -> None:
        self.recent.extend(verdict.reason if verdict.outcome == "unscorable" else None for verdict in verdicts)

    @property
    def share(self) -> float:
        return sum(reason is not None for reason in self.recent) / len(self.recent) if self.recent else 0.0

    def passed(self) -> str | None:
        """What happened, where the limit is passed; else None."""
        if len(self.recent) < LEAST or self.share <= self.limit:
            return None
        reasons = Counter(reason for reason in self.recent if reason is not None)
        listed = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
        return f"{self.share:.0%} of the last {len(self.recent)} answers could not be judged ({listed})"
