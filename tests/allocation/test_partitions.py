"""Partitions are left alone while they are filled, and kept like other tables once readers see them."""

from __future__ import annotations

import pytest
from django.db import connection

from allocation.services import partitions
from allocation.services.partitions import PartitionInUseError
from tests.factories.connections import elsewhere

pytestmark = pytest.mark.django_db
LEDGER = partitions.ledger_of(987_654)


def options() -> object:
    with connection.cursor() as cursor:
        cursor.execute("SELECT reloptions FROM pg_class WHERE oid = %s::regclass", [LEDGER.table])
        ((found,),) = cursor.fetchall()
    return found


def test_a_partition_is_vacuumed_from_when_readers_see_it() -> None:
    partitions.create(LEDGER)
    assert options() == ["autovacuum_enabled=false"]
    partitions.attach(LEDGER)
    assert options() is None


def test_a_partition_that_readers_see_is_not_made_again() -> None:
    partitions.create(LEDGER)
    partitions.create(LEDGER)
    assert not partitions.is_attached(LEDGER)
    partitions.attach(LEDGER)
    partitions.attach(LEDGER)
    assert partitions.is_attached(LEDGER)
    with pytest.raises(PartitionInUseError):
        partitions.create(LEDGER)
    partitions.drop(LEDGER)
    assert not partitions.exists(LEDGER)


def kinds_of_indexes() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT method.amname FROM pg_index entry JOIN pg_class named ON named.oid = entry.indexrelid"
            " JOIN pg_am method ON method.oid = named.relam WHERE entry.indrelid = %s::regclass ORDER BY 1",
            [LEDGER.table],
        )
        return [kind for (kind,) in cursor.fetchall()]


@pytest.mark.django_db(transaction=True)
def test_chunks_are_indexed_once_by_those_who_ask_for_them() -> None:
    partitions.create(LEDGER)
    partitions.index(LEDGER)
    assert kinds_of_indexes() == ["btree"]
    elsewhere(*[lambda: partitions.index_chunks(LEDGER.key)] * 4)
    assert kinds_of_indexes() == ["brin", "btree"]
    partitions.drop(LEDGER)
    partitions.index_chunks(LEDGER.key)
    assert not partitions.exists(LEDGER)
