"""`package.toml` (section 2)."""

from __future__ import annotations

import calendar
import datetime as dt
import re
import tomllib
import zoneinfo
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from allocation.engine.frames import Header, Options, PackageRejectedError
from allocation.engine.options import effective_options
from allocation.exchange.package.cells import code_fault, read_month
from allocation.exchange.package.findings import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from allocation.exchange.package.findings import Findings

FILE: Final = "package.toml"
FORMAT_VERSION: Final = 1
REJECTED_ROWS: Final = 100
"""Default of `max_rejected_rows`."""

_REQUIRED: Final[Mapping[str, type]] = {
    "format_version": int,
    "provider": str,
    "month": str,
    "timezone": str,
    "methodology": dict,
}
_OPTIONAL: Final[Mapping[str, type]] = {"hours": int, "max_rejected_rows": int}
_METHODOLOGY: Final[Mapping[str, type]] = {"name": str, "version": str, "preset": str, "gwp_set": str}
_METHODOLOGY_OPTIONAL: Final[Mapping[str, type]] = {"options": dict}
_PROVIDER: Final = re.compile(r"[a-z0-9][a-z0-9_-]*")
_LONGEST_PROVIDER: Final = 64
_LONGEST_VERSION: Final = 64
_HOURS: Final = (672, 745)
_LAST_MONTH: Final = dt.date(9999, 12, 1)  # its end is beyond the calendar


@dataclass(frozen=True, slots=True)
class Manifest:
    """What `package.toml` says: the engine's header and the number of usage rows that may be rejected."""

    header: Header
    max_rejected_rows: int


def read_manifest(text: str, findings: Findings) -> Manifest | None:
    """Return the manifest in the text of `package.toml`; `None`, with every reason in `findings`, if it is refused."""
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        findings.reject("BAD_TOML", FILE, f"not readable as TOML: {error}")
        return None
    if type(document.get("format_version")) is int and document["format_version"] != FORMAT_VERSION:
        # Nothing is known of the keys of another version.
        findings.reject("UNSUPPORTED_FORMAT", FILE, "format_version is not 1", field="format_version")
        return None
    sound = _sound_keys(document, _REQUIRED, _OPTIONAL, "", findings)
    methodology = sound.get("methodology", {})
    method = _sound_keys(methodology, _METHODOLOGY, _METHODOLOGY_OPTIONAL, "methodology.", findings)
    _check_names(sound, method, findings)
    options = _options(method, findings)
    month = _month(sound, findings)
    hours = _hours(sound, month, findings)
    if findings.rejected() or month is None or hours is None or options is None:
        return None
    header = Header(
        provider=sound["provider"],
        month=month,
        timezone=sound["timezone"],
        hours=hours,
        methodology=method["name"],
        methodology_version=method["version"],
        preset=method["preset"],
        gwp_set=method["gwp_set"],
        options=options,
    )
    return Manifest(header, sound.get("max_rejected_rows", REJECTED_ROWS))


def _sound_keys(
    table: dict[str, Any],
    required: Mapping[str, type],
    optional: Mapping[str, type],
    prefix: str,
    findings: Findings,
) -> dict[str, Any]:
    """Return the entries of `table` that are known and of the right type; report the others and what is missing."""
    expected = {**required, **optional}
    sound = {}
    for key, value in table.items():
        if key not in expected:
            findings.reject("BAD_TOML", FILE, f"unknown key {shown(prefix + key)}", field=prefix + key)
        elif type(value) is not expected[key]:
            message = f"{prefix}{key} is not of type {expected[key].__name__}"
            findings.reject("BAD_TOML", FILE, message, field=prefix + key)
        else:
            sound[key] = value
    for key in required:
        if key not in table:
            findings.reject("BAD_TOML", FILE, f"{prefix}{key} is missing", field=prefix + key)
    return sound


def _check_names(sound: dict[str, Any], method: dict[str, Any], findings: Findings) -> None:
    provider = sound.get("provider")
    if provider is not None and (_PROVIDER.fullmatch(provider) is None or len(provider) > _LONGEST_PROVIDER):
        message = f"provider is not [a-z0-9][a-z0-9_-]* of at most {_LONGEST_PROVIDER} characters"
        findings.reject("BAD_CODE", FILE, message, field="provider")
    for key in ("name", "version", "gwp_set"):
        text = method.get(key)
        if text is None:
            continue
        fault = code_fault(text) if text else "it is empty"
        if fault is None and key == "version" and len(text) > _LONGEST_VERSION:
            fault = f"it has more than {_LONGEST_VERSION} characters"
        if fault is not None:
            findings.reject("BAD_TOML", FILE, f"methodology.{key}: {fault}", field=f"methodology.{key}")
    if sound.get("max_rejected_rows", 0) < 0:
        findings.reject("BAD_TOML", FILE, "max_rejected_rows is negative", field="max_rejected_rows")


def _options(method: dict[str, Any], findings: Findings) -> Options | None:
    if "preset" not in method:
        return None
    try:
        return effective_options(method["preset"], method.get("options", {}))
    except PackageRejectedError as error:
        findings.extend(error.findings)
        return None


def _month(sound: dict[str, Any], findings: Findings) -> dt.date | None:
    if "month" not in sound:
        return None
    try:
        return read_month(sound["month"])
    except ValueError:
        findings.reject("BAD_MONTH", FILE, f"{shown(sound['month'])} is not a month YYYY-MM", field="month")
        return None


def _hours(sound: dict[str, Any], month: dt.date | None, findings: Findings) -> int | None:
    """Return the exact hours of the month in its zone; `None` if they cannot be told or differ from the file's."""
    if "timezone" not in sound:
        return None
    name = sound["timezone"]
    if name not in zoneinfo.available_timezones():
        findings.reject("BAD_TIMEZONE", FILE, f"{shown(name)} is no IANA time zone", field="timezone")
        return None
    if month is None:
        return None
    hours = hours_of_month(month, zoneinfo.ZoneInfo(name))
    if hours is None:
        message = f"in {name} the month {month:%Y-%m} is not a whole number of hours from {_HOURS[0]} to {_HOURS[1]}"
        findings.reject("BAD_TIMEZONE", FILE, message, field="timezone")
    elif sound.get("hours", hours) != hours:
        message = f"hours is {sound['hours']}, but {month:%Y-%m} in {name} has {hours}"
        findings.reject("HOURS_MISMATCH", FILE, message, field="hours")
        return None
    return hours


def hours_of_month(month: dt.date, zone: dt.tzinfo) -> int | None:
    """Return the length in hours of the month that begins on `month` in `zone`; `None` unless whole and in range.

    Changes of half an hour (Lord Howe Island) leave months that the format cannot express.
    """
    if month >= _LAST_MONTH:
        return None
    begin = dt.datetime(month.year, month.month, 1, tzinfo=zone)
    days = calendar.monthrange(month.year, month.month)[1]
    end = begin + dt.timedelta(days=days)  # local midnight: aware arithmetic within one zone keeps the wall clock
    begin_offset, end_offset = begin.utcoffset(), end.utcoffset()
    if begin_offset is None or end_offset is None:
        return None
    length = dt.timedelta(days=days) - (end_offset - begin_offset)
    hours, rest = divmod(length, dt.timedelta(hours=1))
    return hours if not rest and _HOURS[0] <= hours <= _HOURS[1] else None
