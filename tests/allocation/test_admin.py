"""Every model can be found, searched and read; actions go through services and their refusals are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.contrib.messages import get_messages
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import User
from allocation.models import AllocationRun, LedgerRow, PublishedMonth, RunState
from allocation.services.publication import publish_run
from tests.factories.months import MONTH, OPERATOR, Month, month
from tests.graphql_api.test_explain import published as published_example

if TYPE_CHECKING:
    from django.db.models import Model
    from django.test import Client

pytestmark = pytest.mark.django_db
MODELS = list(apps.get_app_config("allocation").get_models())


@pytest.fixture
def operator(client: Client) -> Client:
    """Sign in a member of staff with every permission, operating included."""
    user = User.objects.create_user("operator", password="x", is_staff=True, is_superuser=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label__in=("allocation", "accounts")))
    client.force_login(user)
    return client


@pytest.fixture
def published() -> Month:
    june = month()
    publish_run(viewer=OPERATOR, run_id=june.run().pk)
    return june


def listed(model: type[Model]) -> str:
    return reverse(f"admin:allocation_{model.__name__.lower()}_changelist")


def test_every_model_can_be_listed_searched_and_read(operator: Client, published: Month) -> None:
    assert published.package.pk
    for model in MODELS:
        assert admin.site.is_registered(model), model
        assert operator.get(listed(model)).status_code == 200, model
        assert operator.get(listed(model), {"q": "1"}).status_code == 200, model
        row = model._default_manager.first()  # noqa: SLF001 whatever it is called
        if row is not None:
            page = reverse(f"admin:allocation_{model.__name__.lower()}_change", args=[row.pk])
            assert operator.get(page).status_code == 200, model


def test_the_ledger_is_read_one_run_at_a_time_and_never_counted(operator: Client, published: Month) -> None:
    run = published.package.runs.get()
    month(seed=4).run()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        page = operator.get(listed(LedgerRow), {"run_id": str(run.pk)})
    ledger = [q["sql"] for q in queries if "allocation_ledgerrow" in q["sql"]]
    assert ledger
    assert all(f'"run_id" = {run.pk}' in sql for sql in ledger)
    assert all("LIMIT" in sql for sql in ledger)
    assert {row.run_id for row in page.context["cl"].result_list} == {run.pk}
    found = operator.get(listed(LedgerRow), {"run_id": str(run.pk), "q": "a1"}).context["cl"].result_list
    assert {row.account.external_id for row in found} == {"a1"}


def act(client: Client, model: type[Model], action: str, row: Model, **values: str) -> list[str]:
    response = client.post(listed(model), {"action": action, "_selected_action": str(row.pk), **values})
    return [str(message) for message in get_messages(response.wsgi_request)]


def test_a_run_is_started_cancelled_and_withdrawn_by_actions(operator: Client) -> None:
    june = month()
    act(operator, type(june.package), "allocate", june.package)
    run = AllocationRun.objects.get(package=june.package)
    assert run.requested_by is not None
    assert run.requested_by.username == "operator"
    act(operator, AllocationRun, "cancel", run)
    run.refresh_from_db()
    assert run.state == RunState.WITHDRAWN
    assert "nothing to cancel" not in " ".join(act(operator, AllocationRun, "cancel", run))
    ready = june.run()
    act(operator, AllocationRun, "publish", ready)
    assert PublishedMonth.objects.get(month=MONTH, provider=june.provider).publication.run == ready
    act(operator, AllocationRun, "withdraw", ready, reason="wrong")
    ready.refresh_from_db()
    assert ready.state == RunState.WITHDRAWN


def test_an_action_without_the_right_is_refused_in_words(client: Client) -> None:
    june = month()
    run = june.run()
    user = User.objects.create_user("reader", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_allocationrun"))
    client.force_login(user)
    (said,) = act(client, AllocationRun, "publish", run)
    assert "only operators" in said
    run.refresh_from_db()
    assert run.state == RunState.READY


def test_a_row_of_the_ledger_links_to_its_explanation(operator: Client) -> None:
    run = published_example("a_aws_like")
    row = LedgerRow.objects.filter(run=run, account__isnull=False, line=1, ug__gt=0)[0]
    page = reverse("admin:allocation_ledgerrow_explanation", args=[row.pk])
    assert page in operator.get(reverse("admin:allocation_ledgerrow_change", args=[row.pk])).content.decode()
    answer = operator.get(page)
    (line,) = answer.context["lines"]
    assert line.amount == row.ug
    assert sum(step.amount_out for step in line.steps if step.stage == "account_to_resource_group") == line.exact
    said = answer.content.decode()
    assert f"<strong>{row.ug} ug CO2e</strong>" in said
    behind = {f"{one.file}:{one.row}" for posting in line.postings for one in posting.rows}
    assert behind
    assert all(place in said for place in behind)
    never = month().run()
    ready = LedgerRow.objects.filter(run=never, account__isnull=False)[0]
    unseen = reverse("admin:allocation_ledgerrow_explanation", args=[ready.pk])
    assert "only what was published is explained" in operator.get(unseen).content.decode()
    assert operator.get(page.replace(str(row.pk), "1")).status_code == 404
    reader = User.objects.create_user("reader", password="x", is_staff=True)
    reader.user_permissions.set(Permission.objects.filter(codename="view_ledgerrow"))
    operator.force_login(reader)
    assert "sites.csv" not in operator.get(page).content.decode()
