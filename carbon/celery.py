"""The Celery application: its queues, and which task goes to which."""

from __future__ import annotations

import os

from celery import Celery
from celery.signals import worker_process_init
from kombu import Queue

from carbon import reaper as reaper  # noqa: PLC0414 connects itself to the start of a worker
from carbon.memory import keep_loaded, limit_memory

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "carbon.settings")

app = Celery("canopy")
app.config_from_object("django.conf:settings", namespace="CELERY")


def _named_queues(prefix: str, *, quorum: bool) -> dict[str, Queue]:
    """The three queues by their short names.

    Args:
        prefix: tells installations on one broker apart.
        quorum: ask RabbitMQ for replicated queues.
    """
    # RabbitMQ's quorum queues survive the loss of a node and count deliveries.
    arguments = {"x-queue-type": "quorum"} if quorum else None
    return {
        name: Queue(f"{prefix}.{name}", routing_key=f"{prefix}.{name}", queue_arguments=arguments)
        # short work; long runs; files. A worker takes all of them unless -Q says otherwise.
        for name in ("default", "allocation", "exports")
    }


def configure(celery_app: Celery) -> None:
    """Name the queues as the settings say; tests do it again with a prefix of their own."""
    from django.conf import settings  # noqa: PLC0415 the environment variable above comes first

    prefix = settings.CELERY_QUEUE_PREFIX
    queues = _named_queues(prefix, quorum=settings.CELERY_IS_AMQP)
    celery_app.conf.update(
        task_queues=list(queues.values()),
        task_default_queue=queues["default"].name,
        task_default_exchange=f"{prefix}.tasks",
        task_default_routing_key=queues["default"].name,
        task_routes={
            "allocation.tasks.export*": {"queue": queues["exports"].name},
            "allocation.tasks.*": {"queue": queues["allocation"].name},
        },
    )


@worker_process_init.connect
def _begin(**_kwargs: object) -> None:
    """Every process that runs tasks has its own limit."""
    limit_memory()
    keep_loaded()


configure(app)
app.autodiscover_tasks()
