"""What a model is worth before anybody has seen it work, and whether it can take a request at all. Values in, values out."""

from switch.calls import FREE, Choice, Facts, Needs, Price

HALF_PRICE = 1.0  # US dollars for a million tokens: a small model of a cloud provider
HALF_SPEED_MS = 5_000.0
HALF_SIZE = 4 * 1024**3  # bytes: a model of seven thousand million parameters in four bits
BYTES_PER_PARAMETER = 0.6  # in four bits with their scales, where only the number of parameters is known
UNKNOWN = 0.5
OUTPUT_TOKENS = 512
"""Length of an answer, for its price, where the request sets no limit."""


def efficiency(facts: Facts, *, is_local: bool) -> tuple[float, int]:
    """Sum and number of what is known of price and, on this machine, size; each is 0 to 1, `half / (half + x)`. With the speed, once it has
    been seen, their mean is the efficiency.

    The price is three parts input to one part output, as Artificial Analysis blends them. The original documents take parameters by
    size: that only tells how coarsely a file is quantised, and saves neither money nor time nor memory.
    """
    total, known = 0.0, 0
    price = price_of(facts, is_local=is_local)
    if price is not None:
        total, known = HALF_PRICE / (HALF_PRICE + (3.0 * price.input + price.output) / 4.0), 1
    size = facts.size_bytes or (facts.parameters or 0) * BYTES_PER_PARAMETER
    if is_local and size:
        total, known = total + HALF_SIZE / (HALF_SIZE + size), known + 1
    return total, known


def speed(latency_ms: float) -> float:
    """0 to 1, of the same form."""
    return HALF_SPEED_MS / (HALF_SPEED_MS + latency_ms)


def price_of(facts: Facts, *, is_local: bool) -> Price | None:
    """This machine costs nothing."""
    return FREE if is_local and facts.price is None else facts.price


def asks_for_more_than_words(needs: Needs) -> bool:
    """Whether more than its length can keep a model from taking the request."""
    return bool(
        needs.modalities
        or needs.tools
        or needs.schema
        or needs.max_latency_ms is not None
        or needs.max_cost_usd is not None
    )


def unfit(choice: Choice, needs: Needs, latency_ms: float | None) -> str | None:
    """Why the model cannot take the request, in a sentence; None if nothing speaks against it. What is not known of it does not, but a
    price: a limit on what a call may cost is not kept by hoping. `latency_ms` is how long its answers take lately, if that is known."""
    facts = choice.facts
    wanted_tokens = needs.output_tokens or 0
    if facts.context_tokens is not None and needs.input_tokens + wanted_tokens > facts.context_tokens:
        whole = f"about {needs.input_tokens} tokens" + (f" and {wanted_tokens} of answer" if wanted_tokens else "")
        return f"{whole} do not fit into its context of {facts.context_tokens}"
    if facts.output_tokens is not None and wanted_tokens > facts.output_tokens:
        return f"it writes at most {facts.output_tokens} tokens, not {wanted_tokens}"
    if needs.modalities and facts.modalities is not None and not needs.modalities <= facts.modalities:
        return f"it does not take {' or '.join(sorted(needs.modalities - facts.modalities))}"
    if needs.tools and facts.tools is False:
        return "it does not call tools"
    if needs.schema and facts.schema is False:
        return "it does not follow a JSON schema"
    if needs.max_latency_ms is not None and latency_ms is not None and latency_ms > needs.max_latency_ms:
        return f"its answers take {latency_ms:.0f} ms lately, and {needs.max_latency_ms:.0f} ms are allowed"
    return too_dear(choice, needs)


def too_dear(choice: Choice, needs: Needs) -> str | None:
    """The same of what the call may cost alone; it holds for a model that was asked for by name, too."""
    if needs.max_cost_usd is None:
        return None
    facts = choice.facts
    price = price_of(facts, is_local=choice.is_local)
    if price is None:
        return "its price is not known, and the request sets a limit"
    cost_usd = price.usd(
        needs.input_tokens, needs.output_tokens or min(OUTPUT_TOKENS, facts.output_tokens or OUTPUT_TOKENS)
    )
    if cost_usd > needs.max_cost_usd:
        return f"it would cost about {cost_usd:.6f} US dollars, and {needs.max_cost_usd:.6f} are allowed"
    return None
