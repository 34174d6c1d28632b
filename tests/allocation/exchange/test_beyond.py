"""Months beyond format version 1, from the folder to the export: as the oracle says, byte for byte."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import pytest
from django.core.management import CommandError, call_command

from allocation.services.verification import reproduce_run
from tests.allocation.exchange.test_month import allocated, exported
from tests.oracle.generator import random_draft
from tests.oracle.ledger import allocate, expected_ledger
from tests.oracle.uncertainty import expected_variance

if TYPE_CHECKING:
    from pathlib import Path

    from tests.oracle.draft import Draft

pytestmark = pytest.mark.usefixtures("committed")

TABLES = ("cross_use", "usage_periods", "site_hours", "uncertainties")


def with_tables(*tables: str) -> Draft:
    """Return the first random month that has rows in some tables, and does what they are for."""
    for seed in range(10_000):
        draft = random_draft(seed)
        by_hour = draft.options.get("matching") == "hourly"
        linked = draft.options.get("dependencies") != "direct" and draft.methodology["preset"] != "ibm"
        if all(draft.tables.get(table) for table in tables) and by_hour == ("site_hours" in tables) and linked:
            return draft
    raise AssertionError(tables)


@pytest.mark.parametrize("tables", [("cross_use", "usage_periods"), ("site_hours", "instrument_hours")])
def test_the_export_is_the_oracles(tables: tuple[str, ...], tmp_path: Path) -> None:
    folder = with_tables(*tables).write(tmp_path / "package")
    text, _ = expected_ledger(folder)

    run = allocated(folder)

    assert exported(f"{run.month:%Y-%m}", run.provider.code).decode() == text
    assert all(verdict.ok for verdict in reproduce_run(run))


def test_the_uncertainty_is_the_oracles(tmp_path: Path) -> None:
    folder = with_tables("uncertainties", "shared_pools", "assets").write(tmp_path / "package")
    run = allocated(folder)
    out = io.StringIO()

    call_command("export_uncertainty", f"{run.month:%Y-%m}", "--provider", run.provider.code, stdout=out)

    rows = list(csv.DictReader(io.StringIO(out.getvalue())))
    allocation = allocate(folder)
    ledger = list(csv.DictReader(io.StringIO(expected_ledger(folder)[0])))
    assert {row["account"] for row in rows} == {row["account"] for row in ledger} | {"(all)"}
    assert sum(int(row["uncertainty_ug"]) for row in rows) > 0
    for row in rows:
        other = {"total_lbm": "_mbm", "total_mbm": "_lbm"}.get(row["line"])
        amounts: dict[tuple[str, str], int] = {}
        for leaf in ledger:
            mine = row["account"] in {leaf["account"], "(all)"}
            if mine and (not leaf["line"].endswith(other) if other else leaf["line"] == row["line"]):
                pair = leaf["cluster"], leaf["line"]
                amounts[pair] = amounts.get(pair, 0) + int(leaf["ug"])
        variance, covered = expected_variance(allocation, amounts)
        assert (int(row["ug"]), int(row["covered_ug"])) == (sum(amounts.values()), round(covered))
        assert abs(int(row["uncertainty_ug"]) ** 2 - variance) <= int(row["uncertainty_ug"]) + 1


def test_without_a_run_there_is_no_uncertainty() -> None:
    with pytest.raises(CommandError, match="no package"):
        call_command("export_uncertainty", "2025-06", "--provider", "nobody")
