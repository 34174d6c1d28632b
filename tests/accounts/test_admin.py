"""Every model is found, searched and read in the admin, and what services write cannot be written there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.apps import apps
from django.contrib import admin
from django.urls import reverse

from accounts.models import AuditEntry, User
from tests.factories import hierarchy as make
from tests.factories import people

if TYPE_CHECKING:
    from django.db.models import Model
    from django.test import Client

pytestmark = pytest.mark.django_db

MODELS = [model for model in apps.get_app_config("accounts").get_models() if not model._meta.auto_created]  # noqa: SLF001 Django's name
EDITABLE = {"user", "provider", "enterpriseparent", "resourcedirectory", "account", "resourcegroup"}


@pytest.fixture
def root_client(client: Client) -> Client:
    """Signed in as somebody who may do everything that the admin allows."""
    client.force_login(User.objects.create_superuser("root"))
    return client


def _fill() -> None:
    root = make.directory()
    parent = make.group("parent", root)
    x = make.account("x", [(parent, "2025-01", None)])
    make.delegation(x, root)
    part = make.resource_group(x)
    someone = people.person()
    for node in (root.enterprise, root, parent, x, part):
        people.give(someone, node)
        people.give(people.crew(someone), node)
    AuditEntry.objects.create(at=make.NOW, action="test", node_kind="account", node_id=x.pk)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.model_name)  # noqa: SLF001 Django's name
def test_every_model_is_listed_searched_and_read(root_client: Client, model: type[Model]) -> None:
    _fill()
    name = f"admin:accounts_{model._meta.model_name}"  # noqa: SLF001 Django's name
    assert root_client.get(reverse(f"{name}_changelist")).status_code == 200
    assert root_client.get(reverse(f"{name}_changelist"), {"q": "a"}).status_code == 200
    first = model._default_manager.first()  # noqa: SLF001 Django's name
    if first is not None:
        assert root_client.get(reverse(f"{name}_change", args=[first.pk])).status_code == 200


@pytest.mark.parametrize(
    "model",
    [model for model in MODELS if model._meta.model_name not in EDITABLE],  # noqa: SLF001 Django's name
    ids=lambda model: model._meta.model_name,  # noqa: SLF001 Django's name
)
def test_what_services_write_is_read_only(root_client: Client, model: type[Model]) -> None:
    _fill()
    name = f"admin:accounts_{model._meta.model_name}"  # noqa: SLF001 Django's name
    assert root_client.get(reverse(f"{name}_add")).status_code == 403
    first = model._default_manager.first()  # noqa: SLF001 Django's name
    if first is not None:
        assert root_client.post(reverse(f"{name}_change", args=[first.pk]), {}).status_code == 403
        assert root_client.post(reverse(f"{name}_delete", args=[first.pk]), {"post": "yes"}).status_code == 403


def test_a_directory_keeps_its_provider_and_switch_in_the_admin(root_client: Client) -> None:
    root = make.directory()
    url = reverse("admin:accounts_resourcedirectory_change", args=[root.pk])
    answer = root_client.post(url, {"name": "renamed", "multi_account_management": "", "provider": "999"})
    assert answer.status_code == 302
    root.refresh_from_db()
    assert (root.name, root.multi_account_management, root.provider.code) == ("renamed", True, "cloud")


def test_guardians_generic_tables_are_not_offered() -> None:
    names = {model._meta.label for model in admin.site._registry}  # noqa: SLF001 Django's names
    assert not {"guardian.UserObjectPermission", "guardian.GroupObjectPermission"} & names
