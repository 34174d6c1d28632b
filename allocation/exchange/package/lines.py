"""RFC 4180 with the rule of the format: no line break inside a field, so a line of the file is a row of the table."""

from __future__ import annotations

import re
from typing import Final

EMPTY_LINE: Final = "the line is empty"
"""What is wrong with an empty line that is not at the end of its file."""

_FIELD: Final = re.compile(r'"([^"]*(?:""[^"]*)*)"|([^",]*)')


def split_lines(text: str) -> list[str]:
    r"""Return the lines of a file without their ends (`\n` or `\r\n`); item i is line i + 1.

    Empty lines at the end of the file are left out, except that there is always a first line.
    """
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    while len(lines) > 1 and not lines[-1]:
        lines.pop()
    return lines


def split_fields(line: str) -> list[str] | None:
    """Return the fields of a line, unquoted; `None` if the quoting is broken or a line break is in a field."""
    if "\r" in line:
        return None
    if '"' not in line:
        return line.split(",")
    fields = []
    position = 0
    while (match := _FIELD.match(line, position)) is not None:
        quoted, plain = match.groups()
        fields.append(plain if quoted is None else quoted.replace('""', '"'))
        position = match.end()
        if position == len(line):
            return fields
        if line[position] != ",":
            return None
        position += 1
    return None
