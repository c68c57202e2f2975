"""Switch's own Prometheus metrics. Counters are looked up once per combination: `labels()` costs more than counting does."""

from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Histogram

from switch.flight import Flight

BUCKETS_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0, 30.0)


class Meters:
    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, what: str, *labels: str) -> Counter:
            return Counter(f"vx11_switch_{name}", what, labels, registry=registry)

        self._calls = counter(
            "calls", "Requests for an answer, by who answered and how it ended", "provider", "outcome"
        )
        self._failures = counter("failures", "Models that were asked and did not answer", "provider", "kind")
        self._tokens = counter("tokens", "Tokens of answers", "provider", "direction")
        self._cost = counter("cost_usd", "US dollars that answers cost, where the price is known", "provider")
        self.failed_over = counter("failed_over", "Answers by another than the first who was asked")
        self.cached = counter("cached_answers", "Requests answered from the cache")
        self._overhead = Histogram(
            "vx11_switch_overhead_seconds",
            "Time that went by in switch itself, waiting for a place apart",
            buckets=BUCKETS_SECONDS,
            registry=registry,
        )
        self._queued = Histogram(
            "vx11_switch_queue_seconds", "Wait for a local model", buckets=BUCKETS_SECONDS, registry=registry
        )
        self._of = lru_cache(maxsize=4096)(self._look_up)

    def count_failure(self, provider: str, kind: str) -> None:
        self._of(self._failures, provider, kind).inc()

    def landed(self, flight: Flight) -> None:
        choice = flight.choice
        provider = "none" if choice is None else choice.backend.name
        self._of(self._calls, provider, flight.outcome).inc()
        self._overhead.observe(flight.overhead_ms / 1000)
        if flight.call.queue_ms:
            self._queued.observe(flight.call.queue_ms / 1000)
        if flight.usage is not None:
            self._of(self._tokens, provider, "input").inc(flight.usage.input_tokens)
            self._of(self._tokens, provider, "output").inc(flight.usage.output_tokens)
        if flight.cost_usd:
            self._of(self._cost, provider).inc(flight.cost_usd)

    @staticmethod
    def _look_up(counter: Counter, *labels: str) -> Counter:
        return counter.labels(*labels)
