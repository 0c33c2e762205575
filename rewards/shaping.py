"""What training may reward beside the right answer: the asked form, and not running into the length limit."""

from rewards.extraction import END_THINK, THINK, last_boxed, part


def well_formed(response: str, *, thinking: bool = False) -> float:
    r"""1 where the response has the asked form, else 0: at most one thought, closed, and one `\boxed{}` after it."""
    answer = part(response, thinking=thinking)
    if answer is None or response.count(END_THINK) > 1 or response.count(THINK) > 1:
        return 0.0
    return float(answer.count("\\boxed") == 1 and last_boxed(answer) is not None)


def soft_overlong(length: int, limit: int, cache: int) -> float:
    """DAPO's soft punishment (arXiv:2503.14476, eq. 13): 0 up to `limit - cache` tokens, falling to -1 at `limit`.

    ValueError unless 0 < cache <= limit.
    """
    if not 0 < cache <= limit:
        raise ValueError(f"the cache has to lie above 0 and at most at the limit {limit}, not at {cache}")
    return -min(1.0, max(0.0, (length - (limit - cache)) / cache))
