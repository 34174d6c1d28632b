"""What Schemathesis has to know of us: our scalars, real ids, and what counts as a fault. It imports this by itself."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis.graphql import nodes, scalar

# Real ids, so that some questions are about something; and everything else.
IDS = os.environ["CANOPY_FUZZ_IDS"].split()
LOG = Path(os.environ["CANOPY_FUZZ_LOG"])

texts = st.text(max_size=40)
months = st.from_regex(r"\A202[456]-(0[1-9]|1[0-2])\Z") | texts
dates = st.dates().map(str) | texts
instants = st.datetimes(timezones=st.timezones()).map(lambda at: at.isoformat()) | texts
integers = st.integers().map(str) | texts

scalar("BigInt", integers.map(nodes.String))
scalar("Date", dates.map(nodes.String))
scalar("DateTime", instants.map(nodes.String))
scalar("ID", (st.sampled_from(IDS) | texts).map(nodes.String))
scalar("Month", months.map(nodes.String))


@schemathesis.check  # type: ignore[untyped-decorator] # only `make fuzz` installs it
def nothing_unexpected(_ctx: Any, response: Any, _case: Any) -> None:  # noqa: ANN401 the tool's own types
    """Fail for an answer that is not JSON, or that holds an error nobody expected; write down each case."""
    answer = json.loads(response.content)
    codes = [error["extensions"]["code"] for error in answer.get("errors", [])]
    with LOG.open("a") as log:
        log.write(json.dumps({"status": response.status_code, "codes": codes, "data": bool(answer.get("data"))}) + "\n")
    assert "INTERNAL_ERROR" not in codes, answer["errors"]
    assert "Traceback" not in response.text
