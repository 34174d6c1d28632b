"""Metrics for Prometheus: requests of this process, and the state of the work as the database has it."""

from __future__ import annotations

import hmac
import time
from typing import TYPE_CHECKING, Any, Final

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.http import Http404, HttpResponse
from django.utils.decorators import sync_and_async_middleware
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from allocation.selectors.monitoring import pulse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from django.http import HttpRequest
    from prometheus_client.metrics_core import Metric

BUCKETS_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class WorkCollector(Collector):
    """Reads the state of the work when it is asked."""

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics that docs/deployment.md lists."""
        found = pulse()
        runs = GaugeMetricFamily("canopy_runs", "Runs by state.", labels=["state"])
        for state, count in sorted(found.runs.items()):
            runs.add_metric([state], count)
        yield runs
        times = CounterMetricFamily("canopy_run_steps", "Steps that runs left.", labels=["step"])
        seconds = CounterMetricFamily("canopy_run_step_seconds", "Seconds that runs spent in steps.", labels=["step"])
        for step, (count, spent) in sorted(found.steps.items()):
            times.add_metric([step], count)
            seconds.add_metric([step], spent)
        yield times
        yield seconds
        yield GaugeMetricFamily(
            "canopy_oldest_queued_run_seconds",
            "Age of the oldest queued run; 0 without one.",
            found.oldest_waiting_seconds,
        )
        yield GaugeMetricFamily("canopy_stuck_runs", "Runs whose worker gives no sign of life.", found.stuck)
        months = GaugeMetricFamily("canopy_published_months", "Published months by provider.", labels=["provider"])
        for provider, count in sorted(found.published_months.items()):
            months.add_metric([provider], count)
        yield months
        yield GaugeMetricFamily(
            "canopy_waiting_restatements", "Restatements that wait for a second operator.", found.waiting_restatements
        )


REGISTRY: Final = CollectorRegistry()
REQUEST_SECONDS: Final = Histogram(
    "canopy_http_request_seconds",
    "Time to answer, by route, method and status.",
    ["route", "method", "status"],
    buckets=BUCKETS_SECONDS,
    registry=REGISTRY,
)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"})


@sync_and_async_middleware
def metrics_middleware(
    get_response: Callable[[HttpRequest], Any],
) -> Callable[[HttpRequest], HttpResponse | Awaitable[HttpResponse]]:
    """Measure how long answers take."""
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> HttpResponse:
            start = time.perf_counter()
            response: HttpResponse = await get_response(request)
            _observe(request, response, start)
            return response

        answer_async.get_response = get_response  # type: ignore[attr-defined] # for carbon.handler
        return answer_async

    def answer(request: HttpRequest) -> HttpResponse:
        start = time.perf_counter()
        response: HttpResponse = get_response(request)
        _observe(request, response, start)
        return response

    return answer


def _observe(request: HttpRequest, response: HttpResponse, start: float) -> None:
    # Routes and known methods only: labels that a client can choose would fill the memory.
    route = request.resolver_match.route if request.resolver_match else "(none)"
    method = request.method if request.method in _METHODS else "(other)"
    REQUEST_SECONDS.labels(route, method, str(response.status_code)).observe(time.perf_counter() - start)


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer in Prometheus' text format to whoever has the token; without a token set there is no such page."""
    expected = settings.METRICS_TOKEN
    given = request.headers.get("Authorization", "")
    if not expected or not hmac.compare_digest(given.encode(), f"Bearer {expected}".encode()):
        raise Http404
    work = CollectorRegistry(auto_describe=False)
    work.register(WorkCollector())
    return HttpResponse(generate_latest(REGISTRY) + generate_latest(work), content_type=CONTENT_TYPE_LATEST)
