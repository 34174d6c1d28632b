"""What workers do: wake up, call one service. Messages may come twice, late or never; the services do not mind.

Interfaces call `wake` inside the transaction that changed something; the schedule is in `carbon.settings`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from celery import Task, shared_task
from django.db import transaction

from accounts.services import allowances
from allocation.services import execution, exporting, exports, leases, release, retention, verification
from allocation.services.system import database_now

if TYPE_CHECKING:
    from collections.abc import Callable

# Late acknowledgement and the return of lost workers' messages are settings (carbon.settings); `max_retries` bounds
# the latter. Otherwise lost workers and databases are answered by the lease of the run and the sweep.
# A message that waited longer is of no use: the sweep has sent another one meanwhile.
_MESSAGE_SECONDS = 120
# Checks may wait behind runs for most of a day; then the next ones come.
_CHECK_SECONDS = 20 * 3600


@shared_task(bind=True, max_retries=3, ignore_result=True)
def allocate_run(self: Task[..., None], *, run_id: int, **_: object) -> None:
    """Take a run up, if it is free, and bring it as far as it goes."""
    execution.execute_run(run_id=run_id, worker=self.request.hostname or "", summon=_summon(run_id))


@shared_task(bind=True, max_retries=3, ignore_result=True)
def help_run(self: Task[..., None], *, run_id: int, **_: object) -> None:
    """Write chunks of a run that another worker leads."""
    execution.help_run(run_id=run_id, worker=self.request.hostname or "")


@shared_task(ignore_result=True)
def sweep_runs(**_: object) -> None:
    """Send messages for runs that nobody works on; every worker does so by itself, this is the second net."""
    wake_abandoned_runs()


@shared_task(ignore_result=True)
def publish_due_months(**_: object) -> None:
    """Publish what is ready, clean and due by the release calendars."""
    release.publish_due_months(now=database_now())


@shared_task(ignore_result=True)
def verify_ledger(**_: object) -> None:
    """Have all published months proved again, each by a message of its own: no task grows with their number."""
    for run_id in verification.published_run_ids():
        verify_run.apply_async(kwargs={"run_id": run_id}, expires=_CHECK_SECONDS)


@shared_task(ignore_result=True)
def verify_run(*, run_id: int, **_: object) -> None:
    """Prove one published month again."""
    verification.verify_run(run_id)


@shared_task(ignore_result=True)
def reproduce_in_turn(**_: object) -> None:
    """Compute one published run again from its stored inputs: every hour another one."""
    verification.reproduce_in_turn(now=database_now())


@shared_task(ignore_result=True)
def drop_leftovers(**_: object) -> None:
    """Drop the rows of failed and withdrawn runs that were never published, of old unpublished ones, of counters."""
    retention.drop_leftovers(now=database_now())
    allowances.forget_whole()


def wake_abandoned_runs() -> None:
    """Send messages for runs that nobody works on: their worker died, or their message was lost."""
    for run_id in leases.runs_to_wake():
        allocate_run.apply_async(kwargs={"run_id": run_id}, expires=_MESSAGE_SECONDS)


@shared_task(bind=True, max_retries=3, ignore_result=True)
def export_files(self: Task[..., None], *, export_id: int, **_: object) -> None:
    """Take an export up, if it is free, and write its files."""
    exporting.execute_export(export_id=export_id, worker=self.request.hostname or "")


@shared_task(ignore_result=True)
def sweep_exports(**_: object) -> None:
    """Send messages for exports that nobody works on: their worker died, or their message was lost."""
    for export_id in exports.exports_to_wake(queued_for=leases.QUEUED_GRACE, again_after=leases.wake_again_after()):
        export_files.apply_async(kwargs={"export_id": export_id}, expires=_MESSAGE_SECONDS)


@shared_task(ignore_result=True)
def order_scheduled_exports(**_: object) -> None:
    """Order what schedules have to export since the last publications."""
    for export in exports.export_what_is_published(now=database_now()):
        wake_export(export.pk)


@shared_task(ignore_result=True)
def expire_exports(**_: object) -> None:
    """Drop the files of exports whose time is over."""
    exporting.expire_exports(now=database_now())


def wake_export(export_id: int) -> None:
    """Send the message for a queued export once the current transaction is committed; the sweep finds a lost one."""
    transaction.on_commit(
        lambda: export_files.apply_async(kwargs={"export_id": export_id}, expires=_MESSAGE_SECONDS), robust=True
    )


def wake(run_id: int) -> None:
    """Send the message for a queued run once the current transaction is committed.

    A broker that is down is logged and forgiven: the sweep finds the queued row.
    """
    transaction.on_commit(
        lambda: allocate_run.apply_async(kwargs={"run_id": run_id}, expires=_MESSAGE_SECONDS), robust=True
    )


def _summon(run_id: int) -> Callable[[int], None]:
    def summon(helpers: int) -> None:
        for _ in range(helpers):
            help_run.apply_async(kwargs={"run_id": run_id}, expires=_MESSAGE_SECONDS)

    return summon
