"""Effective options as they are stored with a methodology version."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from decimal import Decimal
from typing import Any

from allocation.engine.frames import Options

Stored = dict[str, Any]
"""Options as plain JSON: arrays are lists, `closure_tolerance` is a string without trailing zeros."""


def stored_options(options: Options) -> Stored:
    """Return the options as JSON; equal options give equal JSON."""
    beyond = {field.name: field.default for field in dataclasses.fields(options)}
    # An option beyond version 1 that is not used leaves the stored form, and so its digest, as it was before.
    values = {name: value for name, value in dataclasses.asdict(options).items() if value != beyond[name]}
    values["closure_tolerance"] = _plain(options.closure_tolerance)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def read_options(stored: Stored) -> Options:
    """Return what `stored_options` stored."""
    values: Stored = {name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()}
    values["closure_tolerance"] = Decimal(values["closure_tolerance"])
    return Options(**values)


def options_digest(options: Options) -> str:
    """Return the SHA-256 of the stored form, 64 hexadecimal digits."""
    return stored_digest(stored_options(options))


def stored_digest(stored: Stored) -> str:
    """Return the SHA-256 of options as they are stored, whatever they say."""
    return hashlib.sha256(json.dumps(stored, sort_keys=True).encode()).hexdigest()


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"
