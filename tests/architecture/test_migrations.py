"""Migrations suit the code before them: what an old process still uses is not taken away under it."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.apps import apps
from django.db import migrations
from django.db.models import NOT_PROVIDED

if TYPE_CHECKING:
    from django.db.migrations.operations.base import Operation

# Numbers up to these belong to the time before the first release; nobody runs the code before them.
FIRST_RELEASE = {"accounts": 19, "allocation": 29}
_BREAKING = (
    migrations.RemoveField,
    migrations.DeleteModel,
    migrations.RenameField,
    migrations.RenameModel,
    migrations.AlterModelTable,
)
_BREAKING_SQL = re.compile(
    r"\b(?:DROP\s+(?:TABLE|COLUMN)|RENAME\s+(?:TO|COLUMN)|SET\s+NOT\s+NULL|ALTER\s+COLUMN\s+\S+\s+(?:SET\s+DATA\s+)?TYPE)\b",
    re.IGNORECASE,
)


def why_breaking(operation: Operation) -> str | None:
    """Say what the code before would miss; None if nothing."""
    if isinstance(operation, migrations.SeparateDatabaseAndState):
        found = [why_breaking(one) for one in operation.database_operations]
        return next((one for one in found if one), None)
    if isinstance(operation, _BREAKING):
        return type(operation).__name__
    if isinstance(operation, migrations.AlterField):
        return "AlterField: add a column instead, or say why the old code can live with it"
    if isinstance(operation, migrations.AddField):
        field = operation.field
        bare = not field.null and field.db_default is NOT_PROVIDED and not field.many_to_many
        return "AddField: old code inserts rows without it; make it nullable or give it a db_default" if bare else None
    if isinstance(operation, migrations.RunSQL):
        texts = operation.sql if isinstance(operation.sql, str) else " ".join(map(str, operation.sql))
        match = _BREAKING_SQL.search(texts)
        return match[0] if match else None
    return None


def later_migrations() -> list[str]:
    """Modules of migrations after the first release."""
    found = []
    for label, last in FIRST_RELEASE.items():
        folder = Path(apps.get_app_config(label).path) / "migrations"
        names = sorted(path.stem for path in folder.glob("0*.py"))
        assert names
        found += [f"{label}.migrations.{name}" for name in names if int(name[:4]) > last]
    return found


def test_no_later_migration_breaks_the_code_before_it() -> None:
    broken = {}
    for name in later_migrations():
        module = importlib.import_module(name)
        contracts = getattr(module, "CONTRACTS", "")
        reasons = [why for why in map(why_breaking, module.Migration.operations) if why]
        if reasons and len(contracts) < 20:
            broken[name] = reasons
    assert broken == {}


@pytest.mark.parametrize(
    ("operation", "breaks"),
    [
        (migrations.RemoveField("run", "state"), True),
        (migrations.RenameField("run", "state", "status"), True),
        (migrations.RunSQL("ALTER TABLE t ALTER COLUMN c SET NOT NULL"), True),
        (migrations.RunSQL("ALTER TABLE t ALTER COLUMN c TYPE bigint"), True),
        (migrations.RunSQL("ALTER TABLE t\n    DROP COLUMN c"), True),
        (migrations.RunSQL("ALTER TABLE t ADD COLUMN c bigint; CREATE INDEX CONCURRENTLY i ON t (c)"), False),
        (migrations.SeparateDatabaseAndState(database_operations=[migrations.DeleteModel("run")]), True),
    ],
)
def test_the_rule_tells_what_breaks_old_code(operation: Operation, *, breaks: bool) -> None:
    assert (why_breaking(operation) is not None) == breaks


def test_a_new_column_needs_null_or_a_default_of_the_database() -> None:
    from django.db import models  # noqa: PLC0415 beside its only use

    bare = migrations.AddField("run", "note", models.TextField(default=""))
    kind = migrations.AddField("run", "note", models.TextField(db_default=""))
    open_ = migrations.AddField("run", "note", models.TextField(null=True))
    assert why_breaking(bare)
    assert not why_breaking(kind)
    assert not why_breaking(open_)
