"""Prometheus metrics that every service has; `GET /metrics` shows them."""

from prometheus_client import CollectorRegistry, Counter, Histogram

BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)


class Metrics:
    """One service's registry, with its requests counted by method, route and status."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "vx11_requests", "Requests answered", ["service", "method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "vx11_request_seconds",
            "Time to the end of the answer",
            ["service", "route"],
            registry=self.registry,
            buckets=BUCKETS_SECONDS,
        )
        self._of: dict[tuple[str, str, str, int], tuple[Counter, Histogram]] = {}

    def answered(self, service: str, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request. The counters are looked up once per combination: `labels()` costs more than counting does."""
        key = service, method, route, status
        found = self._of.get(key)
        if found is None:
            found = self._of[key] = self.requests.labels(*key), self.seconds.labels(service, route)
        found[0].inc()
        found[1].observe(seconds)
