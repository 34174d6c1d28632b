"""Broken packages: package.toml and the files of a package as such."""

from collections.abc import Iterable

from tests.oracle.broken.case import TOML, Broken, append_bytes, broken, rejection, remove_files, together, with_key
from tests.oracle.draft import Draft


def document_cases() -> Iterable[Broken]:
    def without_provider(draft: Draft) -> None:
        del draft.identity["provider"]

    yield broken("good")
    for required in (TOML, "usage.csv", "racks.csv"):
        yield broken(
            f"no {required}",
            rejection("MISSING_FILE", required),
            file=remove_files(required),
        )
    yield broken(
        "two files missing",
        rejection("MISSING_FILE", "sites.csv"),
        rejection("MISSING_FILE", "accounts.csv"),
        file=remove_files("sites.csv", "accounts.csv"),
    )
    for file in ("clusters.csv", "usage.csv", TOML):
        yield broken(
            f"{file} in Latin-1",
            rejection("BAD_ENCODING", file),
            file=append_bytes(file, "# Zürich".encode("latin-1")),
        )
    bad_toml = rejection("BAD_TOML", TOML)
    yield broken("toml without provider", bad_toml, change=without_provider)
    yield broken("toml with unknown key", bad_toml, change=with_key("colour", "green"))
    yield broken("toml with text for a number", bad_toml, change=with_key("format_version", "1"))
    yield broken("toml unreadable", bad_toml, file=append_bytes(TOML, b"= =\n"))
    yield broken("version 2", rejection("UNSUPPORTED_FORMAT", TOML), change=with_key("format_version", 2))
    for month in ("2025-13", "June", "2025-6"):
        yield broken(f"month {month}", rejection("BAD_MONTH", TOML), change=with_key("month", month))
    nowhere = with_key("timezone", "Europe/Atlantis")
    yield broken("unknown zone", rejection("BAD_TIMEZONE", TOML), change=nowhere)
    yield broken("hours of a July", rejection("HOURS_MISMATCH", TOML), change=with_key("hours", 744))
    yield broken(
        "month of 743 hours",
        change=together(
            with_key("hours", 743),
            with_key("month", "2025-03"),
            with_key("timezone", "Europe/Berlin"),
        ),
    )
