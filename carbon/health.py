"""What a load balancer asks: is the process alive, and can it do its work."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.executor import MigrationExecutor
from django.http import JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from carbon.celery import app

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest

logger = logging.getLogger(__name__)
BROKER_TIMEOUT_SECONDS = 2


@never_cache
@require_safe
def live(_request: HttpRequest) -> JsonResponse:
    """Answer 200 while the process can answer at all; nothing else is looked at."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def ready(_request: HttpRequest) -> JsonResponse:
    """Answer 200 if requests can be served here, 503 with the part that is missing otherwise.

    The page is public: it names the part, the log has the reason.
    """
    checks = {"database": _database, "migrations": _migrations, "broker": _broker}
    found = {name: _passes(name, check) for name, check in checks.items()}
    ok = all(found.values())
    return JsonResponse(
        {
            "status": "ok" if ok else "unavailable",
            "checks": {name: "ok" if passed else "failed" for name, passed in found.items()},
        },
        status=200 if ok else 503,
    )


def _passes(name: str, check: Callable[[], bool]) -> bool:
    try:
        return check()
    except Exception:  # any failure, of any library, is an answer here
        logger.exception("readiness: %s", name)
        return False


def _database() -> bool:
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute("SELECT 1")
        return bool(cursor.fetchone() == (1,))


def _migrations() -> bool:
    executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


def _broker() -> bool:
    with app.connection_for_write(connect_timeout=BROKER_TIMEOUT_SECONDS) as connection:
        connection.ensure_connection(max_retries=1, timeout=BROKER_TIMEOUT_SECONDS)
        return bool(connection.connected)
