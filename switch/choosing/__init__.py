"""Which model fits best: scores, and what was learned."""
