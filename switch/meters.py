"""Switch's own Prometheus metrics."""

from prometheus_client import CollectorRegistry

from config.metrics import Count, Counts, Histograms
from switch.flight import Flight

BUCKETS_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0, 30.0)


class Meters:
    def __init__(self, registry: CollectorRegistry) -> None:
        def counts(name: str, what: str, *labels: str) -> Counts:
            return Counts(registry, f"vx11_switch_{name}", what, labels)

        self._by_end: dict[tuple[str, str], tuple[Count, Count, Count]] = {}
        """Calls, and tokens both ways, by provider and outcome: looked up together, as they are counted together."""
        self._calls = counts("calls", "Requests for an answer, by who answered and how it ended", "provider", "outcome")
        self._failures = counts("failures", "Models that were asked and did not answer", "provider", "kind")
        self._tokens = counts("tokens", "Tokens of answers", "provider", "direction")
        self._cost = counts("cost_usd", "US dollars that answers cost, where the price is known", "provider")
        self.failed_over = counts("failed_over", "Answers by another than the first who was asked").of()
        self.cached = counts("cached_answers", "Requests answered from the cache").of()
        self._overhead = Histograms(
            registry,
            "vx11_switch_overhead_seconds",
            "Time that went by in switch itself, waiting for a place apart",
            (),
            BUCKETS_SECONDS,
        ).of()
        self._queued = Histograms(
            registry, "vx11_switch_queue_seconds", "Wait for a local model", (), BUCKETS_SECONDS
        ).of()

    def count_failure(self, provider: str, kind: str) -> None:
        self._failures.of(provider, kind).inc()

    def landed(self, flight: Flight) -> None:
        choice = flight.choice
        provider = "none" if choice is None else choice.backend.name
        end = provider, flight.outcome
        found = self._by_end.get(end)
        if found is None:
            tokens = self._tokens.of(provider, "input"), self._tokens.of(provider, "output")
            found = self._by_end[end] = self._calls.of(*end), *tokens
        calls, read, written = found
        calls.inc()
        self._overhead.observe(flight.overhead_ms / 1000)
        if flight.call.queue_ms:
            self._queued.observe(flight.call.queue_ms / 1000)
        if flight.usage is not None:
            read.inc(flight.usage.input_tokens)
            written.inc(flight.usage.output_tokens)
        if flight.cost_usd:
            self._cost.of(provider).inc(flight.cost_usd)
