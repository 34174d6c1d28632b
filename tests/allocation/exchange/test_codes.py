"""Every code of the format that loading decides: the broken packages of the oracle and what they must give."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from allocation.models import MethodologyVersion, Package
from allocation.services.packages import load_package
from allocation.services.system import system
from tests.oracle.broken.cases import CASES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.oracle.broken.case import Broken

NOW = dt.datetime(2025, 8, 1, tzinfo=dt.UTC)
OF_THE_RUN = frozenset({"NEGATIVE_NET_USAGE", "NO_USAGE_FALLBACK", "EMPTY_CLUSTER", "NO_SOURCE", "PERIOD_GAP"})
"""Flags that only a run can give: they need the usage of each cluster."""


@pytest.mark.django_db
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_findings_are_exactly_those_of_the_format(case: Broken, tmp_path: Path) -> None:
    package, history = case.write(tmp_path)
    for earlier in history:
        assert not load_package(viewer=system(NOW), path=earlier).rejected
    # The history of a case is published: its versions bind.
    MethodologyVersion.objects.update(bound_at=NOW)
    report = load_package(viewer=system(NOW), path=package)
    found = {(f.code, f.severity, f.file, f.row) for f in report.findings}
    assert found == {tuple(finding) for finding in case.findings if finding.code not in OF_THE_RUN}
    assert report.rejected == any(finding.severity == "package" for finding in case.findings)
    assert Package.objects.count() == len(history) + (not report.rejected)
    assert all(finding.message for finding in report.findings)
