"""One line of CSV."""

from __future__ import annotations

import csv
import io
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocation.exchange.package.lines import split_fields, split_lines

fields = st.lists(st.text(st.characters(exclude_characters="\r\n", codec="utf-8")), min_size=1)


@given(fields, st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_reads_what_a_writer_of_rfc_4180_wrote(texts: list[str], quoting: Literal[0, 1]) -> None:
    buffer = io.StringIO()
    csv.writer(buffer, quoting=quoting, lineterminator="").writerow(texts)
    assert split_fields(buffer.getvalue()) == texts


@pytest.mark.parametrize("line", ['"a', 'a"b', '"a"b,c', 'a,"b"" ', '"a","b', "a\rb", '"a\rb"', 'a "b"'])
def test_broken_quoting_is_no_row(line: str) -> None:
    assert split_fields(line) is None


def test_a_line_end_is_one_of_two() -> None:
    assert split_lines("a\r\nb\nc\u2028d\r\r\n") == ["a", "b", "c\u2028d\r"]


def test_empty_lines_at_the_end_are_no_lines() -> None:
    assert split_lines("a\n\nb\n\r\n\r") == ["a", "", "b"]
    assert split_lines("\n\n") == split_lines("") == [""]
