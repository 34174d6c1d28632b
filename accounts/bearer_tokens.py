"""Bearer tokens are looked up by one prepared statement; whether they are good is the library's to say.

To write the library's own query anew for every request took a fifth of the time of an empty question
(docs/performance.md).
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from django.contrib.auth import get_user_model
from django.db import connection
from oauth2_provider.models import get_access_token_model, get_application_model
from oauth2_provider.oauth2_validators import OAuth2Validator

from accounts.statements import rows_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import Field, Model
    from oauth2_provider.models import AbstractAccessToken


class BearerTokens(OAuth2Validator):  # type: ignore[misc] # the library ships no types
    """The library's validator, which checks expiry, audience and application of what is found here."""

    def _load_access_token(self, token: str) -> AbstractAccessToken | None:
        checksum = hashlib.sha256(token.encode()).hexdigest()
        read = _reading()
        rows = rows_of(read.statement, [checksum])
        if not rows:
            return None
        values = iter(rows[0])
        found, application, user = (
            _instance(model, fields, [next(values) for _ in fields]) for model, fields in read.models
        )
        found.application, found.user = application, user
        return found


class _Reading(NamedTuple):
    statement: str
    models: Sequence[tuple[type[Model], Sequence[Field[Any, Any]]]]


@cache
def _reading() -> _Reading:
    """The statement, and the columns of each model in it; made once, when all models are there."""
    descriptions = [
        model._meta  # noqa: SLF001 Django's name
        for model in (get_access_token_model(), get_application_model(), get_user_model())
    ]
    models = [(description.model, description.concrete_fields) for description in descriptions]
    token, application, user = (connection.ops.quote_name(description.db_table) for description in descriptions)
    columns = ", ".join(
        f"{table}.{connection.ops.quote_name(str(field.column))}"
        for table, (_, fields) in zip((token, application, user), models, strict=True)
        for field in fields
    )
    return _Reading(
        f"SELECT {columns} FROM {token}"  # noqa: S608 names of tables and columns
        f" LEFT JOIN {application} ON {application}.id = {token}.application_id"
        f" LEFT JOIN {user} ON {user}.id = {token}.user_id WHERE {token}.token_checksum = %s",
        models,
    )


def _instance(model: type[Model], fields: Sequence[Field[Any, Any]], values: Sequence[Any]) -> Any:  # noqa: ANN401 of any model; None without a row
    if values[0] is None:  # the primary key, of a row that is not there
        return None
    converted = [
        field.from_db_value(value, None, connection) if hasattr(field, "from_db_value") else value
        for field, value in zip(fields, values, strict=True)
    ]
    return model.from_db(connection.alias, [field.attname for field in fields], converted)
