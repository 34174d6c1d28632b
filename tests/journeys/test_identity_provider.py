"""People of an enterprise sign in where they always do: Canopy against a real OpenID Connect provider."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
from typing import TYPE_CHECKING

import pytest
from allauth.socialaccount.models import SocialAccount
from oauth2_provider.models import Application

from accounts.models import User
from carbon.services import Services, answers, api
from tests.conftest import live_environment
from tests.factories import people
from tests.journeys.visitor import Visitor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.journeys.visitor import Answer

SECRET = "a secret between two servers"
PASSWORD = "a password of the enterprise"


@dataclasses.dataclass(frozen=True)
class Servers:
    """Addresses of Canopy and of the enterprise's provider."""

    canopy: str
    provider: str


def free_address() -> tuple[str, int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    return f"http://127.0.0.1:{port}", port


@pytest.fixture(scope="module")
def processes(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:  # noqa: ARG001 they end before the database is dropped
    (canopy, canopy_port), (provider, provider_port) = free_address(), free_address()
    acme = {"id": "acme", "name": "Acme", "issuer": f"{provider}/o", "client_id": "canopy", "client_secret": SECRET}
    environment = live_environment() | {"CANOPY_OIDC_PROVIDERS": json.dumps([acme])}
    mark = f"identity {os.getpid()}"
    ours = Services(
        tmp_path_factory.mktemp("canopy"), [api("127.0.0.1", canopy_port)], environment=environment, mark=mark
    )
    theirs = Services(
        tmp_path_factory.mktemp("provider"),
        [dataclasses.replace(api("127.0.0.1", provider_port), name="provider")],
        environment=environment | {"DJANGO_SETTINGS_MODULE": "tests.identity_provider.settings"},
        mark=mark,
    )
    with ours, theirs:
        ours.wait_for(lambda: answers(f"{canopy}/health/live"), "Canopy")
        theirs.wait_for(lambda: answers(f"{provider}/health/live"), "the provider")
        yield Servers(canopy, provider)


@pytest.fixture
def servers(committed: None, processes: Servers) -> Servers:  # noqa: ARG001 they see committed rows only
    Application.objects.create(
        name="Canopy",
        client_id="canopy",
        client_secret=SECRET,
        client_type="confidential",
        authorization_grant_type="authorization-code",
        redirect_uris=f"{processes.canopy}/sso/acme/callback/",
        algorithm="RS256",
        skip_authorization=True,
    )
    return processes


def member(called: str) -> User:
    """Somebody whom the provider knows, under a name that the provider lets them choose."""
    made = people.person("member")
    made.set_password(PASSWORD)
    made.first_name, made.email = called, f"{called}@acme.test"
    made.save()
    return made


def to_provider(servers: Servers, visitor: Visitor, leads: str = "") -> Answer:
    """Press the button on the sign-in page; answers where the browser is sent."""
    page = visitor.get(f"{servers.canopy}/login/", {"next": leads} if leads else None)
    assert "Sign in with Acme" in page.text
    return visitor.submit(page, f"{servers.canopy}/sso/acme/login/")


def signed_in(servers: Servers, visitor: Visitor, who: User, leads: str = "") -> Answer:
    """Sign in there and come back; answers what Canopy says."""
    asked = to_provider(servers, visitor, leads)
    assert asked.leads_to.startswith(f"{servers.provider}/o/authorize/?")
    assert asked.parameters["code_challenge_method"] == "S256"
    assert len(asked.parameters["state"]) >= 16
    page = visitor.get(asked.leads_to)
    if page.leads_to.startswith(f"{servers.provider}/login/"):
        page = visitor.get(visitor.sign_in(page.leads_to, who.username, PASSWORD).leads_to)
    assert page.leads_to.startswith(f"{servers.canopy}/sso/acme/callback/?")
    return visitor.get(page.leads_to)


def session_of(servers: Servers, visitor: Visitor) -> bool:
    """Whether Canopy knows the visitor: a page that asks everybody else to sign in."""
    return visitor.get(f"{servers.canopy}/o/authorized_tokens/").status == 200


def test_a_new_person_is_known_by_the_subject_and_has_no_role(servers: Servers) -> None:
    victim = people.person("victim")
    who = member(victim.username)  # calls themselves like somebody of ours
    visitor = Visitor()
    back = signed_in(servers, visitor, who, "/o/authorized_tokens/")
    assert back.leads_to == f"{servers.canopy}/o/authorized_tokens/"
    assert session_of(servers, visitor)
    account = SocialAccount.objects.get()
    assert (account.provider, account.uid) == ("acme", str(who.pk))
    made = account.user
    assert made not in {victim, who}
    assert made.username != victim.username
    assert (made.is_staff, made.is_superuser, made.has_usable_password()) == (False, False, False)
    assert not made.user_permissions.exists()
    # The second time it is the same person, whatever they are called now.
    who.first_name = "changed"
    who.save()
    signed_in(servers, Visitor(), who)
    assert SocialAccount.objects.get().user == made
    assert User.objects.count() == 3


def test_an_operator_can_say_who_somebody_is(servers: Servers) -> None:
    known, who = people.person("known"), member("whoever")
    SocialAccount.objects.create(user=known, provider="acme", uid=str(who.pk))
    visitor = Visitor()
    signed_in(servers, visitor, who)
    assert session_of(servers, visitor)
    assert set(User.objects.all()) == {known, who}


def test_whom_an_operator_switched_off_stays_out(servers: Servers) -> None:
    known, who = people.person("known", active=False), member("whoever")
    SocialAccount.objects.create(user=known, provider="acme", uid=str(who.pk))
    visitor = Visitor()
    back = signed_in(servers, visitor, who)
    assert back.leads_to == f"{servers.canopy}/login/?turned-away=1"
    assert "did not work" in visitor.get(back.leads_to).text
    assert not session_of(servers, visitor)


def test_a_forged_answer_signs_nobody_in(servers: Servers) -> None:
    who, visitor, other = member("whoever"), Visitor(), Visitor()
    asked = to_provider(servers, visitor)
    page = visitor.get(asked.leads_to)
    answer = visitor.get(visitor.sign_in(page.leads_to, who.username, PASSWORD).leads_to).leads_to
    for forged in (
        answer.replace("state=", "state=x"),
        f"{servers.canopy}/sso/acme/callback/?error=access_denied&state={asked.parameters['state']}",
    ):
        assert visitor.get(forged).leads_to.endswith("/login/?turned-away=1")
    # Nobody is signed in as somebody else by following a link: the state belongs to another browser.
    assert other.get(answer).leads_to.endswith("/login/?turned-away=1")
    assert not session_of(servers, other)
    assert not SocialAccount.objects.exists()


def test_only_the_form_of_the_sign_in_page_starts_it(servers: Servers) -> None:
    visitor = Visitor()
    assert visitor.get(f"{servers.canopy}/sso/acme/login/").status == 405
    assert visitor.post(f"{servers.canopy}/sso/acme/login/", {}).status == 403
    page = visitor.get(f"{servers.canopy}/login/")
    assert visitor.submit(page, f"{servers.canopy}/sso/nobody/login/").status == 404
    for process in ("connect", "redirect"):
        asked = visitor.submit(page, f"{servers.canopy}/sso/acme/login/?process={process}", next="/")
        assert asked.status in {302, 403}
    away = visitor.submit(page, f"{servers.canopy}/sso/acme/login/", next="https://elsewhere.test/")
    assert away.leads_to.startswith(f"{servers.provider}/o/authorize/?")
