"""Packages and what loading found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin

from allocation import tasks
from allocation.admin.asking import ask
from allocation.admin.reading import MonthFilter, Reading
from allocation.models import Package, PackageFinding
from allocation.services.runs import request_run

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

    from accounts.policies import Viewer


@admin.register(Package)
class PackageAdmin(Reading):
    """Versions of the activity of a month; a run can be started from one."""

    list_display = ["__str__", "methodology_version", "usage_rows", "rejected_rows", "loaded_at", "loaded_by"]
    list_filter = ["provider", MonthFilter]
    search_fields = ["provider__code", "digest"]
    actions = ["allocate", "allocate_again"]

    @admin.action(description="Allocate", permissions=["view"])
    def allocate(self, request: HttpRequest, rows: QuerySet[Package]) -> None:
        """Start a run of each chosen package, unless it has one."""
        ask(self, request, rows, _allocate)

    @admin.action(description="Allocate again (after a correction of the code)", permissions=["view"])
    def allocate_again(self, request: HttpRequest, rows: QuerySet[Package]) -> None:
        """Start another run of each chosen package."""
        ask(self, request, rows, _allocate_again)


def _allocate(viewer: Viewer, package: Package, *, again: bool = False) -> str:
    run = request_run(viewer=viewer, package_id=package.pk, again=again)
    tasks.wake(run.pk)
    return str(run)


def _allocate_again(viewer: Viewer, package: Package) -> str:
    return _allocate(viewer, package, again=True)


@admin.register(PackageFinding)
class PackageFindingAdmin(Reading):
    """Rejected rows and flags of loading."""

    list_display = ["code", "severity", "file", "row", "field", "message", "package"]
    list_filter = ["severity", "code"]
    search_fields = ["=code", "=file", "message"]
