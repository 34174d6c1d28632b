"""Handing files out: a link is signed for its owner and ends soon; what it leads to is judged again when it is used."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.core import signing
from django.core.files.storage import default_storage
from django.utils import timezone

from accounts.policies import viewer_of
from accounts.services.refusal import NotFound, PermissionDenied, Refusal
from accounts.web_role import as_web
from allocation.exchange.layouts import Extract, Told, still_visible
from allocation.models import ExportFile, ExportState
from allocation.services.exports import schedule_node

if TYPE_CHECKING:
    from django.core.files import File

_SALT: Final = "canopy.exports.download"


class LinkExpired(Refusal):
    """The link is too old; the API gives a new one."""

    code = "LINK_EXPIRED"


@dataclass(frozen=True, slots=True)
class Download:
    """An open file with its name and size."""

    stream: File[bytes]
    name: str
    size_bytes: int
    media_type: str


def sign(file_id: int, owner_id: int) -> str:
    """Write the token of a link to a file of this owner; it counts for `EXPORT_LINK_SECONDS` from now."""
    return signing.TimestampSigner(salt=_SALT).sign_object([file_id, owner_id])


def link_ends_at(now: dt.datetime) -> dt.datetime:
    """When a link that is signed now ends."""
    return now + dt.timedelta(seconds=settings.EXPORT_LINK_SECONDS)


def open_file(token: str) -> Download:
    """Open the file that a link leads to, if its owner may still see all that it tells of.

    Raises:
        LinkExpired: the link is too old.
        NotFound: it was never given out, or the file is no longer there.
        PermissionDenied: the owner's account is closed, or may no longer see everything that the file tells of.
    """
    try:
        file_id, owner_id = signing.TimestampSigner(salt=_SALT).unsign_object(
            token, max_age=dt.timedelta(seconds=settings.EXPORT_LINK_SECONDS)
        )
    except signing.SignatureExpired:
        raise LinkExpired("the link is too old: ask for a new one") from None
    except (signing.BadSignature, ValueError, TypeError):
        raise NotFound("there is no such file") from None
    rows = ExportFile.objects.select_related("export__owner", "publication__provider")
    file = (
        rows.select_related("publication__run__methodology_version")
        .filter(pk=file_id, export__owner_id=owner_id, export__state=ExportState.READY)
        .exclude(stored_as="")
        .first()
    )
    if file is None:
        raise NotFound("there is no such file")
    now = timezone.now()
    viewer = viewer_of(file.export.owner, now=now)
    extract = Extract(viewer, file.publication, schedule_node(file.export))
    with as_web(viewer_id=viewer.user_id, now=now):
        allowed = viewer.is_active and still_visible(extract, Told(file.accounts, file.resource_groups))
    if not allowed:
        raise PermissionDenied("you may no longer see everything that is in this file: order it again")
    name = f"{file.path.replace('/', '_')}"
    kind = "text/csv; charset=utf-8" if name.endswith(".csv") else "application/vnd.apache.parquet"
    return Download(default_storage.open(file.stored_as, "rb"), name, file.size_bytes or 0, kind)
