"""Prometheus metrics that every service has; `GET /metrics` shows them.

Counted by ourselves and only told by prometheus_client: its own counters lock and check at every count, for threads that we do not have,
and a request of the router counts eleven times (11 us of them; here it is 2).
"""

from abc import abstractmethod
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.utils import floatToGoString

BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)


class Count:
    """A number that only grows. Counted in the loop, never in a thread."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def inc(self, by: float = 1.0) -> None:
        self.value += by


class Times:
    """How many values fell below each bound, and their sum. Likewise."""

    __slots__ = ("_bounds", "numbers", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.numbers = [0] * (len(bounds) + 1)
        """Of values up to each bound and above the one before; at the end of those above all."""
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.numbers[bisect_left(self._bounds, value)] += 1
        self.total += value

    @property
    def buckets(self) -> list[tuple[str, float]]:
        """As Prometheus has them: each bound with the number of all values up to it."""
        bounds = [*map(floatToGoString, self._bounds), "+Inf"]
        return list(zip(bounds, map(float, accumulate(self.numbers)), strict=True))


One = TypeVar("One", Count, Times)


class _Family(Generic[One]):
    """One of a kind for every combination of labels, kept from the first time that it is looked up; the registry asks `collect`."""

    def __init__(self, registry: CollectorRegistry, name: str, what: str, labels: Sequence[str]) -> None:
        self._name, self._what, self._labels = name, what, labels
        self._all: dict[tuple[str, ...], One] = {}
        if not labels:
            self.of()  # told from the start, as 0
        registry.register(self)  # type: ignore[arg-type]

    def of(self, *values: str) -> One:
        found = self._all.get(values)
        if found is None:
            found = self._all[values] = self._made()
        return found

    @abstractmethod
    def _made(self) -> One: ...


class Counts(_Family[Count]):
    def _made(self) -> Count:
        return Count()

    def collect(self) -> Iterator[Metric]:
        told = CounterMetricFamily(self._name, self._what, labels=self._labels)
        for values, count in self._all.items():
            told.add_metric(values, count.value)
        yield told


class Histograms(_Family[Times]):
    def __init__(
        self, registry: CollectorRegistry, name: str, what: str, labels: Sequence[str], bounds: Sequence[float]
    ) -> None:
        self._bounds = bounds
        super().__init__(registry, name, what, labels)

    def _made(self) -> Times:
        return Times(self._bounds)

    def collect(self) -> Iterator[Metric]:
        told = HistogramMetricFamily(self._name, self._what, labels=self._labels)
        for values, times in self._all.items():
            told.add_metric(values, times.buckets, times.total)
        yield told


class Metrics:
    """One service's registry, with its requests counted by method, route and status."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counts(
            self.registry, "vx11_requests", "Requests answered", ("service", "method", "route", "status")
        )
        self.seconds = Histograms(
            self.registry,
            "vx11_request_seconds",
            "Time to the end of the answer",
            ("service", "route"),
            BUCKETS_SECONDS,
        )
        self._of: dict[tuple[str, str, str, int], tuple[Count, Times]] = {}

    def answered(self, service: str, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        key = service, method, route, status
        found = self._of.get(key)
        if found is None:
            found = self._of[key] = (
                self.requests.of(service, method, route, str(status)),
                self.seconds.of(service, route),
            )
        found[0].inc()
        found[1].observe(seconds)
