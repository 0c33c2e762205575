"""Where a published run stopped generating."""

from collections.abc import Sequence


def cut(response: str, stops: Sequence[str]) -> str:
    """The response up to the first of the stop strings, without it."""
    ends = [place for place in map(response.find, stops) if place >= 0]
    return response[: min(ends)] if ends else response
