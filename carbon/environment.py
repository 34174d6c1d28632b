"""The environment variables that configure Canopy: the only place where they are read.

Everything is optional in a fresh clone, which then uses its own embedded PostgreSQL and broker
("embedded mode"). Naming a DATABASE_URL makes the installation a production one: what must
not be guessed there (SECRET_KEY, ALLOWED_HOSTS) is then required.
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from environs import Env

ENV = Env()
CLONE_DIR = Path(__file__).resolve().parent.parent


def state_dir() -> Path:
    """The folder that holds everything this clone writes by itself.

    Returns:
        CANOPY_STATE_DIR, or `.canopy` in the clone. It need not exist yet.
    """
    return Path(ENV.str("CANOPY_STATE_DIR", "") or CLONE_DIR / ".canopy").absolute()


def kept_secret(path: Path) -> str:
    """Read a generated secret, writing it first where there is none.

    Two processes may start at the same moment: each writes a file of its own and links it to
    the name, and the second link fails, so both read the same complete text.

    Args:
        path: the file, readable by its owner only.

    Returns:
        64 URL-safe characters or more.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(64))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # another process was first, its secret counts
        finally:
            draft.unlink()
    return path.read_text()


def identity_providers() -> list[dict[str, Any]]:
    """The identity providers that CANOPY_OIDC_PROVIDERS names, as django-allauth takes them.

    The variable is a JSON list of objects with `id` (letters, digits, hyphens; part of an address), `name` (what the
    button says), `issuer` (address whose `/.well-known/openid-configuration` describes it), `client_id` and
    `client_secret`.

    Raises:
        ImproperlyConfigured: something is missing, unknown or said twice.
    """
    wanted = {"id", "name", "issuer", "client_id", "client_secret"}
    found = ENV.json("CANOPY_OIDC_PROVIDERS", [])
    if not isinstance(found, list) or not all(isinstance(each, dict) and set(each) == wanted for each in found):
        raise ImproperlyConfigured(f"CANOPY_OIDC_PROVIDERS must be a JSON list of objects with {sorted(wanted)}")
    if not all(isinstance(value, str) and value for each in found for value in each.values()):
        raise ImproperlyConfigured("CANOPY_OIDC_PROVIDERS holds something that is not a text, or an empty one")
    names = [each["id"] for each in found]
    if len(set(names)) < len(names) or not all(re.fullmatch(r"[A-Za-z0-9-]+", name) for name in names):
        raise ImproperlyConfigured("CANOPY_OIDC_PROVIDERS: ids are different, of letters, digits and hyphens")
    return [
        {
            "provider_id": each["id"],
            "name": each["name"],
            "client_id": each["client_id"],
            "secret": each["client_secret"],
            "settings": {"server_url": each["issuer"]},
        }
        for each in found
    ]
