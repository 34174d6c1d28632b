"""Which requests have to name a host of ours: all but those for the health pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.middleware.common import CommonMiddleware

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponsePermanentRedirect

HEALTH_PAGES = "/health/"


class HostCheckMiddleware(CommonMiddleware):
    """Django's, but that containers and load balancers may ask for the health pages by address.

    These pages make no links and take no cookies, so that a forged host name leads to nothing.
    """

    def process_request(self, request: HttpRequest) -> HttpResponsePermanentRedirect | None:
        """Refuse hosts that are not ours, answers 400 (`DisallowedHost`)."""
        if request.path_info.startswith(HEALTH_PAGES):
            return None
        return super().process_request(request)
