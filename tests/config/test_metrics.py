"""What `GET /metrics` tells, read by Prometheus' own parser."""

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from config.metrics import Counts, Histograms, Metrics


def samples(registry: CollectorRegistry) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = generate_latest(registry).decode()
    return {
        (one.name, tuple(sorted(one.labels.items()))): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def test_counts_are_told_by_their_labels() -> None:
    registry = CollectorRegistry()
    calls = Counts(registry, "vx11_calls", "Calls", ("provider", "outcome"))
    calls.of("a", "answered").inc()
    calls.of("a", "answered").inc(2.5)
    calls.of('b"\n', "cut").inc()
    Counts(registry, "vx11_none", "Never", ()).of()
    assert samples(registry) == {
        ("vx11_calls_total", (("outcome", "answered"), ("provider", "a"))): 3.5,
        ("vx11_calls_total", (("outcome", "cut"), ("provider", 'b"\n'))): 1.0,
        ("vx11_none_total", ()): 0.0,
    }


def test_a_value_on_a_bound_belongs_below_it() -> None:
    registry = CollectorRegistry()
    times = Histograms(registry, "vx11_seconds", "Time", (), (0.5, 1.0)).of()
    for value in (0.1, 0.5, 0.75, 7.0):
        times.observe(value)
    told = samples(registry)
    assert [told["vx11_seconds_bucket", (("le", bound),)] for bound in ("0.5", "1.0", "+Inf")] == [2.0, 3.0, 4.0]
    assert (told["vx11_seconds_count", ()], told["vx11_seconds_sum", ()]) == (4.0, 8.35)


def test_requests_are_counted_by_route_and_status() -> None:
    metrics = Metrics()
    for status in (200, 200, 404):
        metrics.answered("shub", "GET", "/shub/health", status, 0.002)
    told = samples(metrics.registry)
    of = (("method", "GET"), ("route", "/shub/health"), ("service", "shub"))
    assert told["vx11_requests_total", (*of, ("status", "200"))] == 2
    assert told["vx11_request_seconds_count", (("route", "/shub/health"), ("service", "shub"))] == 3
