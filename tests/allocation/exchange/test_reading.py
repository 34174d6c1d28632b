"""Reading a package: the way it is written, its faults, garbage."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocation.engine.frames import TABLES, Finding
from allocation.exchange.package.cells import NUMBER
from allocation.exchange.package.findings import LISTED_PER_CODE, Findings, json_line
from allocation.exchange.package.lines import split_fields, split_lines
from allocation.exchange.package.reading import read_package
from tests.allocation.exchange.sample import Sample, Style

if TYPE_CHECKING:
    from collections.abc import Iterator

    from allocation.exchange.package.reading import ReadPackage

Row = tuple[str, str, str, str, str]


def read(folder: Path) -> tuple[ReadPackage | None, Counter[Row], set[tuple[str, str, str | None, int | None]]]:
    """Return the package, its accepted usage rows and its findings."""
    findings = Findings()
    package = read_package(folder, findings)
    rows: Counter[Row] = Counter()
    if package is not None:
        rows.update(accepted(package, findings))
    return package, rows, {(f.code, f.severity, f.file, f.row) for f in findings.all()}


def accepted(package: ReadPackage, findings: Findings, block_bytes: int = 1 << 20) -> Iterator[Row]:
    reader = package.usage_reader(block_bytes=block_bytes)
    codes = reader.codes
    for batch in reader.chunks(findings):
        for row in batch.to_pylist():
            yield (
                codes.places[row["cluster"]],
                codes.services[row["service"]],
                codes.accounts[row["account"]],
                codes.groups[row["resource_group"]],
                row["quantity"],
            )


def contents(package: ReadPackage) -> dict[str, set[tuple[object, ...]]]:
    tables = package.activity.tables
    return {name: set(frame.drop(columns="row").itertuples(index=False, name=None)) for name, frame in tables.items()}


styles = st.builds(
    Style,
    bom=st.booleans(),
    line_end=st.sampled_from(["\n", "\r\n"]),
    quoted=st.booleans(),
    empty_lines=st.integers(0, 3),
    last_line_ends=st.booleans(),
    order=st.integers(0, 1000),
)


@given(styles)
@settings(max_examples=15, deadline=None)
def test_the_way_a_file_is_written_changes_nothing(style: Style) -> None:
    with TemporaryDirectory() as folder:
        plain, plain_rows, plain_findings = read(Sample().write(Path(folder) / "plain"))
        other, other_rows, other_findings = read(Sample().write(Path(folder) / "other", style))
    assert plain is not None
    assert other is not None
    assert plain_findings == other_findings == set()
    assert contents(other) == contents(plain)
    assert other_rows == plain_rows
    assert plain_rows["k1", "s1", "a1", "team 1, east", "10"] == 1
    assert plain_rows["r1", "s1", "ä3", "default", "999999999999999999.999999999999"] == 1


def test_cells_become_exact_values(tmp_path: Path) -> None:
    package, _, _ = read(Sample().write(tmp_path))
    assert package is not None
    tables = package.activity.tables
    assert set(tables) == set(TABLES) - {"usage"}
    assert tables["sites"]["residual_g_per_kwh"].to_list() == [Decimal("500.000000000001"), Decimal(450)]
    assert tables["sites"]["quality"].to_list() == ["metered", "metered"]
    assert tables["racks"]["quality"].to_list() == [None, None, None]
    assert tables["accounts"]["internal"].to_list() == [False, True, False]
    assert tables["clusters"]["name"].to_list() == ['First "one", north', "Zweite Zürich", None]
    assert tables["clusters"]["row"].to_list() == [2, 3, 4]
    assert tables["instruments"].empty
    assert list(tables["instruments"].columns) == [*(c.name for c in TABLES["instruments"].columns), "row"]
    assert all(
        frame[column].dtype == object for frame in tables.values() for column in frame.columns if column != "row"
    )


def test_months_and_whole_numbers(tmp_path: Path) -> None:
    sample = Sample()
    sample.tables["assets"] = [
        ["asset", "owner_kind", "owner", "category", "embodied_kg", "life_months", "in_service"],
        ["x", "rack", "ra", "other", "1.5", "60.0", "2024-02"],
    ]
    package, _, findings = read(sample.write(tmp_path))
    assert package is not None
    assert findings == set()
    asset = package.activity.tables["assets"].iloc[0]
    assert (asset["life_months"], asset["in_service"], asset["retired"]) == (60, dt.date(2024, 2, 1), None)


def test_every_finding_of_a_layer_is_told_and_no_later_layer_runs(tmp_path: Path) -> None:
    sample = Sample()
    sample.tables["sites"][1][3] = "1e3"
    sample.tables["sites"][2][1] = "nowhere"  # a reference: a later layer
    sample.tables["racks"][1][2] = "chief"
    sample.tables["accounts"].append(["a1", "", ""])
    sample.tables["services"][0][0] = "product"
    assert read(sample.write(tmp_path))[2] == {
        ("BAD_NUMBER", "package", "sites.csv", 2),
        ("BAD_VALUE", "package", "racks.csv", 2),
        ("DUPLICATE_KEY", "package", "accounts.csv", 5),
        ("BAD_HEADER", "package", "services.csv", 1),
    }


def test_empty_lines_are_bad_rows_unless_the_file_ends_with_them(tmp_path: Path) -> None:
    accounts = b"account\n\na1\r\n\r\na2\n(x)\n\r\n\n"
    found = read(Sample(files={"accounts.csv": accounts}).write(tmp_path))[2]
    assert found == {
        ("BAD_ROW", "package", "accounts.csv", 2),
        ("BAD_ROW", "package", "accounts.csv", 4),
        ("BAD_CODE", "package", "accounts.csv", 6),
    }


@pytest.mark.parametrize("block_bytes", [1, 2, 3, 16, 20, 1000])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\r", b"\n" * 50, b"\r\n" * 50 + b"\r"])
def test_empty_lines_of_usage(tmp_path: Path, block_bytes: int, end: bytes) -> None:
    row = b"k1,s1,a1,1"
    usage = b"cluster,service,account,quantity\n\n" + row + b"\n" + b"\r\n\n" * 20 + row + end
    findings = Findings()
    package = read_package(Sample(files={"usage.csv": usage}).write(tmp_path), findings)
    assert package is not None
    reader = package.usage_reader(block_bytes=block_bytes)
    assert sum(rows.num_rows for rows in reader.chunks(findings)) == 2
    assert (reader.accepted, reader.rejected) == (2, 41)
    bad = [finding.row for finding in findings.all() if finding.code == "BAD_ROW"]
    assert bad == [2, *range(4, 44)]


def test_files_are_missing_unknown_undecodable_or_expected(tmp_path: Path) -> None:
    folder = Sample(files={"notes.txt": b"", "expected_x": b"\xff", "gwp.csv": b"gas\n\n\xff\n"}).write(tmp_path)
    (folder / "racks.csv").unlink()
    (folder / "folder").mkdir()
    assert read(folder)[2] == {
        ("MISSING_FILE", "package", "racks.csv", None),
        ("UNKNOWN_FILE", "flag", "notes.txt", None),
        ("BAD_ENCODING", "package", "gwp.csv", None),
    }
    assert {code for code, *_ in read(tmp_path / "nowhere")[2]} == {"MISSING_FILE"}


@pytest.mark.parametrize("block", [b"\xff", b"\xe4\xb8", b"a" * (1 << 20) + b"\xc3", b"\xc3" * 3])
def test_usage_that_is_not_utf_8_rejects_the_package(tmp_path: Path, block: bytes) -> None:
    usage = b"cluster,service,account,quantity\n" + block
    assert read(Sample(files={"usage.csv": usage}).write(tmp_path))[2] == {
        ("BAD_ENCODING", "package", "usage.csv", None)
    }


def test_rejected_rows_have_exact_line_numbers(tmp_path: Path) -> None:
    lines = [
        "month,quantity,account,service,cluster,resource_group",
        "2025-06,1,a1,s1,k1,",
        ",1,a1,s1,k1",  # 3 short
        "",  # 4
        '"2025-06","1","a1","s1","k1","x""y"',
        ',1,a1,s1,"k1,',  # 6 open quote
        "2025-07,1,a1,s1,k1,g",  # 7
        ",1e5,nobody,s1,k1,g",  # 8: a bad cell, so nobody is not looked up
        ",1,nobody,s9,k9,g",  # 9
        ",1,a1,s1,k1,a|b",  # 10
        ",,a1,,k1,g",  # 11
        ",1,a1,s1,k1,g,",  # 12 long
        ',1,a1,"s1"x,k1,g',  # 13
        ',1,a1,s1,k1,"x,y"',
        ",1,a1,s1,k1,g\rh",  # 15
        "," + "1" * 70_000 + ",a1,s1,k1,g",  # 16
        ",-0.5,a1,s1,k1,(mine)",
    ]
    for end in ("\n", "\r\n"):
        package, rows, findings = read(Sample(files={"usage.csv": end.join(lines).encode()}).write(tmp_path))
        assert package is not None
        assert findings == {
            ("BAD_ROW", "row", "usage.csv", 3),
            ("BAD_ROW", "row", "usage.csv", 4),
            ("BAD_ROW", "row", "usage.csv", 6),
            ("MONTH_MISMATCH", "row", "usage.csv", 7),
            ("BAD_NUMBER", "row", "usage.csv", 8),
            ("UNKNOWN_ACCOUNT", "row", "usage.csv", 9),
            ("UNKNOWN_SERVICE", "row", "usage.csv", 9),
            ("UNKNOWN_CLUSTER", "row", "usage.csv", 9),
            ("BAD_CODE", "row", "usage.csv", 10),
            ("MISSING_VALUE", "row", "usage.csv", 11),
            ("BAD_ROW", "row", "usage.csv", 12),
            ("BAD_ROW", "row", "usage.csv", 13),
            ("BAD_ROW", "row", "usage.csv", 15),
            ("BAD_ROW", "row", "usage.csv", 16),
            ("ROWS_REJECTED", "flag", "usage.csv", None),
        }
        assert sorted(row[3:] for row in rows) == [("(mine)", "-0.5"), ("default", "1"), ('x"y', "1"), ("x,y", "1")]


def test_too_many_rejected_rows_reject_the_package(tmp_path: Path) -> None:
    usage = "cluster,service,account,quantity\n" + "k1,s1,nobody,1\n" * 3_000 + "\n".join(["k1"] * 2_000)
    findings = Findings()
    package = read_package(Sample(files={"usage.csv": usage.encode()}).write(tmp_path), findings)
    assert package is not None
    reader = package.usage_reader(block_bytes=10_000)
    assert list(reader.chunks(findings)) == []
    assert (reader.accepted, reader.rejected, findings.rejected()) == (0, 5_000, True)
    listed = Counter(finding.code for finding in findings.all())
    assert listed == {"UNKNOWN_ACCOUNT": LISTED_PER_CODE + 1, "BAD_ROW": LISTED_PER_CODE + 1, "TOO_MANY_REJECTED": 1}
    told = [finding.message for finding in findings.all() if finding.row is None]
    assert told == [
        "5000 rows are rejected, at most 100 may be",
        "2000 more of 3000 are not listed",
        "1000 more of 2000 are not listed",
    ]


def test_a_byte_order_mark_inside_the_file_is_part_of_a_code(tmp_path: Path) -> None:
    usage = "resource_group,cluster,service,account,quantity\n" + "\ufeffg,k1,s1,a1,1\n" * 50
    findings = Findings()
    package = read_package(Sample(files={"usage.csv": usage.encode()}).write(tmp_path), findings)
    assert package is not None
    groups = {row[3] for row in accepted(package, findings, block_bytes=20)}
    assert groups == {"\ufeffg"}


def test_a_quoted_header_line_of_usage_is_read(tmp_path: Path) -> None:
    usage = '\ufeff"cluster","service","account","quantity"\r\nk1,s1,a1,1'
    assert sum(read(Sample(files={"usage.csv": usage.encode()}).write(tmp_path))[1].values()) == 1


garbage = st.lists(
    st.sampled_from(
        [b"k1", b"s1", b"a1", b",", b",", b",", b'"', b"\r", b"\n", b"1", b"", b"\xc3\xa4", b"\0", b"|", b" "]
    ),
    max_size=120,
).map(b"".join)


@given(garbage, st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_blocks_agree_with_reading_line_by_line(body: bytes, block_bytes: int) -> None:
    header = ["cluster", "service", "account", "quantity"]
    with TemporaryDirectory() as folder:
        Sample(files={"usage.csv": ",".join(header).encode() + b"\n" + body}).write(Path(folder))
        findings = Findings()
        package = read_package(Path(folder), findings)
        assert package is not None
        rows = list(accepted(package, findings, block_bytes))
        good, refused = line_by_line(body.decode())
    assert [(*row[:3], row[4]) for row in rows] == good
    assert {f.row for f in findings.all() if f.row is not None} == refused


def line_by_line(body: str) -> tuple[list[tuple[str, ...]], set[int]]:
    """Return the good rows and the numbers of the refused ones, read without Arrow."""
    good: list[tuple[str, ...]] = []
    refused: set[int] = set()
    for number, line in enumerate(split_lines(body), start=2):
        fields = split_fields(line)
        if not line:
            continue
        sound = fields is not None and len(fields) == 4 and fields[:3] == ["k1", "s1", "a1"]
        if fields is not None and sound and NUMBER.fullmatch(fields[3]):
            good.append(tuple(fields))
        else:
            refused.add(number)
    return good, refused


@given(st.dictionaries(st.sampled_from(["package.toml", *(table.file for table in TABLES.values())]), st.binary()))
@settings(max_examples=30, deadline=None)
def test_garbage_never_crashes(files: dict[str, bytes]) -> None:
    with TemporaryDirectory() as folder:
        package, _, findings = read(Sample(files=files).write(Path(folder)))
    assert package is not None or any(severity == "package" for _, severity, _, _ in findings)


def test_a_finding_is_one_line_of_json() -> None:
    line = json_line(Finding("BAD_CODE", "row", "usage.csv", 7, "a \u2028 b", "account"))
    assert line.splitlines() == [line]
    assert json.loads(line) == {
        "code": "BAD_CODE",
        "severity": "row",
        "file": "usage.csv",
        "row": 7,
        "field": "account",
        "message": "a \u2028 b",
    }
