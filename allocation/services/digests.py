"""Digests: of a run's inputs, of the code that computes it, of its ledger.

A ledger's digest depends on codes and integers only, never on database ids or on the order in which codes were met, so
that two installations, or the same one twice, get the same digest from the same package.
"""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from allocation import engine
from allocation.exchange.distinct import distinct
from allocation.exchange.write import LINE_CODES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    from allocation.engine.frames import Ledger


@functools.cache
def code_version() -> str:
    """Return the SHA-256 of the engine's source: what decides the result of a run beside its inputs."""
    digest = hashlib.sha256()
    folder = Path(engine.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def input_digest(*, package_digest: str, options_digest: str, earlier_digests: Iterable[str]) -> str:
    """Return the digest of a run's inputs: its package, its options, and the earlier packages in order of month."""
    return hashlib.sha256(json.dumps([package_digest, options_digest, list(earlier_digests)]).encode()).hexdigest()


def chunk_digest(ledger: Ledger) -> str:
    """Return the digest of one cluster's ledger; rows are in the order of the export."""
    services, service = _ranked(ledger.services, ledger.service)
    accounts, account = _ranked(ledger.accounts, ledger.account)
    groups, group = _ranked(ledger.groups, ledger.group)
    line_of = np.array([LINE_CODES.index(code) for code in ledger.lines], np.int32)
    digest = hashlib.sha256(
        json.dumps({"cluster": ledger.cluster, "services": services, "accounts": accounts, "groups": groups}).encode()
    )
    for values in (service, account, group, line_of[ledger.line], ledger.quality, ledger.estimated_ppm):
        digest.update(np.ascontiguousarray(values, "<i4").data)
    for amounts_ug in (ledger.ug, ledger.estimated_ug):
        digest.update(np.ascontiguousarray(amounts_ug, "<i8").data)
    return digest.hexdigest()


def ledger_digest(chunks: Mapping[str, str]) -> str:
    """Return the digest of a run's ledger from those of its chunks by cluster code, in whatever order they came."""
    return hashlib.sha256(json.dumps(sorted(chunks.items())).encode()).hexdigest()


def _ranked(codes: Sequence[str], index: npt.NDArray[np.int32]) -> tuple[list[str], npt.NDArray[np.int32]]:
    """Return the codes in use in order, and each row's place among them."""
    used = distinct(index, bound=len(codes))
    names = sorted(codes[i] for i in used)
    place = {code: rank for rank, code in enumerate(names)}
    ranks = np.zeros(len(codes), np.int32)
    ranks[used] = [place[codes[i]] for i in used]
    return names, ranks[index]
