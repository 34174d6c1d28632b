"""The activity of packages as it was loaded, one table after the other."""

from __future__ import annotations

from django.apps import apps
from django.contrib import admin
from django.db import models

from allocation.admin.partitioned import PackageFilter, PartitionReading
from allocation.admin.reading import Reading
from allocation.models import UsageRow
from allocation.models.activity import ActivityRow


def _register(model: type[ActivityRow]) -> None:
    """Show every column of a small table; search its codes and what it refers to."""
    columns = model._meta.get_fields()  # noqa: SLF001 Django's own way to the fields of a model
    fields = [field for field in columns if isinstance(field, models.Field) and field.name != "id"]
    referred = [field for field in fields if isinstance(field, models.ForeignKey) and field.name != "package"]
    texts = [field.name for field in fields if isinstance(field, models.CharField) and not field.choices]
    codes = [f"{f.name}__{'external_id' if f.related_model.__name__ == 'Account' else 'code'}" for f in referred]
    shown = [field.name for field in fields]
    related = ["package__provider", *(field.name for field in referred)]
    options = {"list_display": shown, "search_fields": [*texts, *codes, "=package__id"], "list_select_related": related}
    admin.site.register(model, type(f"{model.__name__}Admin", (Reading,), options))


for _model in apps.get_app_config("allocation").get_models():
    if issubclass(_model, ActivityRow):
        _register(_model)


@admin.register(UsageRow)
class UsageRowAdmin(PartitionReading):
    """Usage of one package."""

    list_display = ["id", "cluster", "region", "service", "account", "resource_group", "quantity"]
    list_filter = [PackageFilter]
    search_fields = ["account__external_id"]
    search_help_text = "external id or name of an account"
    list_select_related = ["cluster", "region", "service", "account", "resource_group"]
