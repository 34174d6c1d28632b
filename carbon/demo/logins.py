"""The people of the demo, their passwords, roles and tokens. On the embedded database only."""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass

from django.conf import settings
from oauth2_provider.models import get_access_token_model, get_application_model

from accounts.models import AccountGroup, EnterpriseParent, NodeKind, NodeRef, Role, User
from accounts.policies import viewer_of
from accounts.services.grants import grant_role
from allocation.exchange.estate.demo import AT_TARN, LINDENMARK, TEAM_GROUP
from carbon.environment import kept_secret

PASSWORD_CHARACTERS = 16
TOKEN_LIFE = dt.timedelta(hours=24)
CLIENT_ID = "canopy-demo"


@dataclass(frozen=True)
class Login:
    """Somebody who may log in.

    Attributes:
        name: of the user.
        password: for the admin and for browsers.
        sees: what they may see, in words.
        token: a bearer token that reads emissions; empty for the operator.
    """

    name: str
    password: str
    sees: str
    token: str = ""


def demo_operator() -> User:
    """The demo's operator, made if need be."""
    return _user("operator", is_operator=True)


def prepare_logins(now: dt.datetime) -> list[Login]:
    """Make the three logins with their roles, or find them; the hierarchy must be there.

    Args:
        now: the instant that grants and tokens begin at.

    Returns:
        Operator, viewer and team lead.
    """
    by = viewer_of(demo_operator(), now=now)
    enterprise = EnterpriseParent.objects.get(external_id=LINDENMARK.external_id)
    team = AccountGroup.objects.get(directory__external_id=AT_TARN, external_id=TEAM_GROUP)
    viewer, lead = _user("viewer"), _user("lead")
    for user, node in (
        (viewer, NodeRef(NodeKind.ENTERPRISE_PARENT, enterprise.pk)),
        (lead, NodeRef(NodeKind.ACCOUNT_GROUP, team.pk)),
    ):
        grant_role(viewer=by, node=node, role=Role.VIEWER, user_id=user.pk)
    return [
        Login("operator", _password("operator"), "everything, and the admin"),
        Login("viewer", _password("viewer"), f"{enterprise.name}, both directories", _token(viewer, now)),
        Login("lead", _password("lead"), f"the group {team.name}", _token(lead, now)),
    ]


def _user(name: str, *, is_operator: bool = False) -> User:
    """A user with the password that this clone keeps for the name."""
    user, _ = User.objects.get_or_create(username=name, defaults={"is_staff": is_operator, "is_superuser": is_operator})
    if not user.check_password(_password(name)):
        user.set_password(_password(name))
        user.save(update_fields=["password"])
    return user


def _password(name: str) -> str:
    """Drawn once for each clone: a password in the source would be everybody's."""
    return kept_secret(settings.STATE_DIR / "demo" / f"password-{name}")[:PASSWORD_CHARACTERS]


def _token(user: User, now: dt.datetime) -> str:
    """A new token, in place of the old ones."""
    application, _ = get_application_model().objects.get_or_create(
        client_id=CLIENT_ID,
        defaults={
            "name": "Canopy demo",
            "client_type": "public",
            "authorization_grant_type": "authorization-code",
            "redirect_uris": "http://127.0.0.1:8000/",
        },
    )
    tokens = get_access_token_model().objects
    tokens.filter(user=user, application=application).delete()
    token = secrets.token_urlsafe(24)
    tokens.create(user=user, application=application, token=token, expires=now + TOKEN_LIFE, scope="emissions:read")
    return token
