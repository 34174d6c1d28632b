"""Traces by OpenTelemetry, where an address for them is set: requests, tasks, SQL statements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery import signals
from django.conf import settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor


def start_tracing(service: str, processor: SpanProcessor | None = None) -> bool:
    """Instrument this process; False, and nothing is imported, if no address is set.

    SQL is recorded with its placeholders, never with values: they are customers' figures and ids.

    Args:
        service: name of this kind of process.
        processor: takes the spans; sends them to `CANOPY_OTLP_ENDPOINT` unless it is given.
    """
    if not settings.OTLP_ENDPOINT:
        return False
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 only where wanted
    from opentelemetry.instrumentation.celery import CeleryInstrumentor  # noqa: PLC0415 only where wanted
    from opentelemetry.instrumentation.django import DjangoInstrumentor  # noqa: PLC0415 only where wanted
    from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor  # noqa: PLC0415 only where wanted
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 only where wanted
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 only where wanted
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 only where wanted

    provider = TracerProvider(resource=Resource.create({"service.name": f"canopy-{service}"}))
    sending = processor or BatchSpanProcessor(OTLPSpanExporter(endpoint=settings.OTLP_ENDPOINT))
    provider.add_span_processor(sending)
    kinds: tuple[Any, ...] = (DjangoInstrumentor, CeleryInstrumentor, PsycopgInstrumentor)  # some are untyped
    for kind in kinds:
        kind().instrument(tracer_provider=provider)
    return True


@signals.worker_process_init.connect
def in_worker(**_kwargs: Any) -> None:  # noqa: ANN401 Celery's signature
    """Trace in each process of a worker, after it was forked: threads do not survive a fork."""
    start_tracing("worker")


@signals.beat_init.connect
def in_clock(**_kwargs: Any) -> None:  # noqa: ANN401 Celery's signature
    """Trace in the clock."""
    start_tracing("clock")
