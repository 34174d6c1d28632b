"""Traces: off without an address; with one, a request is a trace with its statements, without their values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.instrumentation.django import DjangoInstrumentor
from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from carbon.tracing import start_tracing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django.fixtures import Settings


@pytest.fixture
def spans(settings: Settings) -> Iterator[InMemorySpanExporter]:
    settings.OTLP_ENDPOINT = "http://127.0.0.1:9/v1/traces"
    settings.MIDDLEWARE = list(settings.MIDDLEWARE)
    exporter = InMemorySpanExporter()
    assert start_tracing("test", SimpleSpanProcessor(exporter))
    yield exporter
    kinds: tuple[Any, ...] = (DjangoInstrumentor, CeleryInstrumentor, PsycopgInstrumentor)  # some are untyped
    for kind in kinds:
        kind().uninstrument()


def test_without_an_address_nothing_is_traced(settings: Settings) -> None:
    settings.OTLP_ENDPOINT = ""
    assert not start_tracing("test")


def test_a_request_is_a_span_of_its_route(spans: InMemorySpanExporter) -> None:
    Client().get("/health/live")
    found = [span for span in spans.get_finished_spans() if span.attributes is not None]
    assert [span.attributes["http.route"] for span in found if span.attributes] == ["health/live"]
    assert {span.resource.attributes["service.name"] for span in found} == {"canopy-test"}
