"""What an outcome is worth: the one measure that learning, its simulation and its tests share."""

LATENCY_WEIGHT = 0.15
COST_WEIGHT = 0.15
HALF_LATENCY_MS = 5_000.0
HALF_COST_USD = 0.01
UNKNOWN_COST = 0.5
"""Of the cost's term, where nobody knows the price: neither free nor dear."""


HALF_PARAMETERS = 1_000_000_000


def expected_quality(parameters: int | None) -> float:
    """0 to 1: what an answer is worth as long as nobody has said what it was worth. 1 where the size of the model is not known.

    That a model answered does not say that it answered well: without this the smallest one, which is quick, free and never fails, would
    win everything. `n / (n + 10^9)` with n parameters: 0.12 for 135 million, 0.5 for a thousand million, 0.88 for seven. Source: ours; the
    saturating form follows the scaling laws of Hoffmann et al. (2022), where what is lost falls with a power of the parameters.
    """
    return 1.0 if parameters is None else parameters / (parameters + HALF_PARAMETERS)


def reward(quality: float, *, latency_ms: float, cost_usd: float | None) -> float:
    """0 to 1: quality, less up to 0.15 for the time and up to 0.15 for the money that it took; never below 0.

    `quality` is `expected_quality` for an answer, 0 for none, or what feedback says of it, 0 to 1. Each term is `x / (x + half)`: half of
    it is lost at 5 seconds and at one cent. So a wrong answer is never worth more than a right one for being fast and free, and of two
    right ones the faster and cheaper wins. Source: ours; the form is that of saturation (Michaelis and Menten), which needs no longest
    latency and no highest price.
    """
    cost = UNKNOWN_COST if cost_usd is None else cost_usd / (cost_usd + HALF_COST_USD)
    spent = LATENCY_WEIGHT * latency_ms / (latency_ms + HALF_LATENCY_MS) + COST_WEIGHT * cost
    return quality - spent if quality > spent else 0.0
