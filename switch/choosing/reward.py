"""What an outcome is worth: the one measure that learning, its simulation and its tests share."""

LATENCY_WEIGHT = 0.15
COST_WEIGHT = 0.15
HALF_LATENCY_MS = 5_000.0
HALF_COST_USD = 0.01
UNKNOWN_COST = 0.5
"""Of the cost's term, where nobody knows the price: neither free nor dear."""


def reward(quality: float, *, latency_ms: float, cost_usd: float | None) -> float:
    """0 to 1: quality, less up to 0.15 for the time and up to 0.15 for the money that it took; never below 0.

    `quality` is 1 for an answer and 0 for none, or what feedback says of the answer, 0 to 1. Each term is `x / (x + half)`: half of it is
    lost at 5 seconds and at one cent. So a wrong answer is never worth more than a right one for being fast and free, and of two right
    ones the faster and cheaper wins. Source: ours; the form is that of saturation (Michaelis and Menten), which needs no longest latency
    and no highest price.
    """
    cost = UNKNOWN_COST if cost_usd is None else cost_usd / (cost_usd + HALF_COST_USD)
    spent = LATENCY_WEIGHT * latency_ms / (latency_ms + HALF_LATENCY_MS) + COST_WEIGHT * cost
    return max(0.0, quality - spent)
