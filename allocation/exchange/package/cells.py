"""How the text of one cell becomes a value of its column (section 1)."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from allocation.engine.frames import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from allocation.engine.frames import Column

Value = str | bool | int | Decimal | dt.date | None
"""What a cell holds: the types that `allocation.engine.frames` promises."""

LONGEST_CODE: Final = 128
NUMBER: Final = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,12})?")

_MONTH: Final = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class CellError(Exception):
    """The text of a cell is refused: a code of section 7 and a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def read_cell(column: Column, text: str) -> Value:
    """Return the value of a cell; the column's default, or `None`, if it is empty. Raises `CellError`."""
    if text:
        return _READERS[column.kind](column, text)
    if column.required:
        raise CellError("MISSING_VALUE", "a value is required here")
    return column.default


def read_month(text: str) -> dt.date:
    """Return the first day of a month written `YYYY-MM`; `ValueError` if it is not written so."""
    if _MONTH.fullmatch(text) is None:
        raise ValueError("not a month YYYY-MM")
    return dt.date(int(text[:4]), int(text[5:]), 1)


def code_fault(text: str, *, defines: bool = False) -> str | None:
    """Return what is wrong with a code, `None` if nothing is. `defines`: in the table that defines it."""
    if len(text) > LONGEST_CODE:
        return f"a code has at most {LONGEST_CODE} characters"
    if "|" in text or _CONTROL.search(text):
        return "a code holds no | and no control characters"
    if text.startswith(" ") or text.endswith(" "):
        return "a code has no space at either end"
    if defines and text.startswith("("):
        return "names that start with ( belong to the engine"
    return None


def _read_code(column: Column, text: str) -> str:
    fault = code_fault(text, defines=column.defines)
    if fault is not None:
        raise CellError("BAD_CODE", fault)
    return text


def _read_text(column: Column, text: str) -> str:
    if "\0" in text:
        raise CellError("BAD_VALUE", "the character U+0000 is not allowed")
    if column.name == "country" and _COUNTRY.fullmatch(text) is None:
        raise CellError("BAD_VALUE", "not an ISO 3166-1 alpha-2 code")
    return text


def _read_number(text: str) -> Decimal:
    if NUMBER.fullmatch(text) is None:
        raise CellError(
            "BAD_NUMBER", "not a number -?digits[.digits] of at most 18 digits before and 12 after the point"
        )
    return Decimal(text)


def _read_decimal(column: Column, text: str) -> Decimal:
    value = _read_number(text)
    if column.maximum is not None and not (column.minimum or 0) <= value <= column.maximum:
        raise CellError("RATIO_OUT_OF_RANGE", f"not between {column.minimum} and {column.maximum}")
    if (column.minimum is not None or column.positive) and value < 0:
        raise CellError("NEGATIVE_VALUE", "must not be negative")
    if column.positive and value <= 0:
        raise CellError("BAD_VALUE", "must be above zero")
    return value


def _read_whole(column: Column, text: str) -> int:
    value = _read_decimal(column, text)
    if value != value.to_integral_value():
        raise CellError("BAD_VALUE", "not a whole number")
    return int(value)


def _read_boolean(_column: Column, text: str) -> bool:
    if text not in {"true", "false"}:
        raise CellError("BAD_VALUE", "not true or false")
    return text == "true"


def _read_month_cell(_column: Column, text: str) -> dt.date:
    try:
        return read_month(text)
    except ValueError as error:
        raise CellError("BAD_VALUE", str(error)) from None


def _read_choice(column: Column, text: str) -> str:
    if text not in column.choices:
        raise CellError("BAD_VALUE", f"not one of {', '.join(column.choices)}")
    return text


_READERS: Final[Mapping[Kind, Callable[[Column, str], Value]]] = {
    Kind.CODE: _read_code,
    Kind.TEXT: _read_text,
    Kind.DECIMAL: _read_decimal,
    Kind.WHOLE: _read_whole,
    Kind.BOOLEAN: _read_boolean,
    Kind.MONTH: _read_month_cell,
    Kind.CHOICE: _read_choice,
}
