"""Figures the project promises, measured: `python -m bench`, or `make bench`. No test depends on them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One promise and what was measured."""

    name: str
    measured: float
    wanted: float
    unit: str
    at_least: bool  # whether more is better; else `wanted` is the most it may be

    @property
    def met(self) -> bool:
        """Whether the promise is kept on this machine."""
        return self.measured >= self.wanted if self.at_least else self.measured <= self.wanted
