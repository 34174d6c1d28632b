"""The hierarchy and its access in the admin: everything is found, searched and read; what services write is read-only.

Structure, grants and delegations change through `accounts.services`, which ask, lock, record and audit; a form that
wrote rows would pass them by. What may be edited here is plain description: names, providers, people.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin

from accounts.models import (
    Account,
    AccountGroup,
    AccountMembership,
    AuditEntry,
    DelegatedAdministrator,
    EnterpriseParent,
    GroupClosure,
    GroupEdge,
    IdempotencyKey,
    Provider,
    RequestAllowance,
    ResourceDirectory,
    ResourceGroup,
    Role,
    TreeVersion,
    User,
)
from accounts.models.grants import USER_GRANTS, USER_GROUP_GRANTS

if TYPE_CHECKING:
    from django.db.models import Model, QuerySet
    from django.http import HttpRequest


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django's class takes no parameter at run time
    """Rows that only services write. Superusers cannot change them here either."""

    list_per_page = 50
    # A count over a long table costs more than the page it stands on.
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest, *_args: Any) -> bool:  # noqa: ANN401, ARG002 Django's signature
        """Nobody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002 Django's signature
        """Nobody."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002 Django's signature
        """Nobody."""
        return False


class NamedAdmin(ReadOnlyAdmin):
    """Nodes whose name may be corrected here; everything else about them belongs to services."""

    editable: tuple[str, ...] = ("name",)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whoever holds the model's permission."""
        return admin.ModelAdmin.has_change_permission(self, request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:  # noqa: ARG002 Django's signature
        """Everything but the editable fields."""
        return [field.name for field in self.model._meta.fields if field.name not in self.editable]  # noqa: SLF001 Django's name


@admin.register(User)
class PersonAdmin(UserAdmin):  # type: ignore[type-arg]  # as above
    """People and machines."""


@admin.register(Provider)
class ProviderAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # as above
    """Providers, with their release calendar."""

    list_display = ("code", "name", "time_zone", "release_lag_months", "release_day")
    search_fields = ("code", "name")

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:  # noqa: ARG002 Django's signature
        """Packages refer to the code, so it is set once."""
        return [] if obj is None else ["code"]

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002 Django's signature
        """Nobody: history refers to it."""
        return False


@admin.register(EnterpriseParent)
class EnterpriseParentAdmin(NamedAdmin):
    """Companies."""

    list_display = ("name", "external_id", "status")
    list_filter = ("status",)
    search_fields = ("name", "external_id")


@admin.register(ResourceDirectory)
class ResourceDirectoryAdmin(NamedAdmin):
    """Organisations at providers."""

    list_display = ("name", "external_id", "provider", "enterprise", "management_account", "multi_account_management")
    list_filter = ("provider", "multi_account_management", "status")
    list_select_related = ("provider", "enterprise", "management_account")
    search_fields = ("name", "external_id", "enterprise__name")


@admin.register(AccountGroup)
class AccountGroupAdmin(ReadOnlyAdmin):
    """Groups; `rename_group` renames them, so that it is audited."""

    list_display = ("name", "external_id", "directory", "status", "closed_from")
    list_filter = ("status", "directory")
    list_select_related = ("directory",)
    search_fields = ("name", "external_id")


@admin.register(Account)
class AccountAdmin(NamedAdmin):
    """Accounts. Those standing alone have no membership."""

    list_display = ("external_id", "name", "provider", "kind", "status", "closed_from")
    list_filter = ("provider", "kind", "status")
    list_select_related = ("provider",)
    search_fields = ("external_id", "name")


@admin.register(ResourceGroup)
class ResourceGroupAdmin(NamedAdmin):
    """Resource groups of accounts."""

    list_display = ("code", "name", "account")
    list_select_related = ("account",)
    search_fields = ("code", "name", "account__external_id", "account__name")


@admin.register(GroupEdge)
class GroupEdgeAdmin(ReadOnlyAdmin):
    """Which parent a group had when, as recorded by which version."""

    list_display = ("group", "parent", "directory", "valid_from", "valid_to", "recorded_by", "superseded_by")
    list_filter = ("directory", ("superseded_by", admin.EmptyFieldListFilter))
    list_select_related = ("group", "parent", "directory", "recorded_by", "superseded_by")
    search_fields = ("group__name", "group__external_id", "parent__name")


@admin.register(AccountMembership)
class AccountMembershipAdmin(ReadOnlyAdmin):
    """Where an account stood when, as recorded by which version."""

    list_display = ("account", "group", "directory", "valid_from", "valid_to", "recorded_by", "superseded_by")
    list_filter = ("directory", ("superseded_by", admin.EmptyFieldListFilter))
    list_select_related = ("account", "group", "directory", "recorded_by", "superseded_by")
    search_fields = ("account__external_id", "account__name", "group__name")


@admin.register(GroupClosure)
class GroupClosureAdmin(ReadOnlyAdmin):
    """Derived from the edges."""

    list_display = ("ancestor", "descendant", "depth", "valid_from", "valid_to")
    list_filter = ("directory",)
    list_select_related = ("ancestor", "descendant")
    search_fields = ("ancestor__name", "descendant__name")


@admin.register(TreeVersion)
class TreeVersionAdmin(ReadOnlyAdmin):
    """Recorded changes of structure."""

    list_display = ("id", "directory", "actor", "recorded_at", "reason")
    list_filter = ("directory",)
    list_select_related = ("directory", "actor")
    search_fields = ("reason", "actor__username")
    date_hierarchy = "recorded_at"


@admin.register(DelegatedAdministrator)
class DelegatedAdministratorAdmin(ReadOnlyAdmin):
    """Delegations, ended ones included."""

    list_display = ("account", "directory", "group", "registered_at", "registered_by", "ends_at", "revoked_at")
    list_filter = ("directory", ("revoked_at", admin.EmptyFieldListFilter))
    list_select_related = ("account", "directory", "group", "registered_by")
    search_fields = ("account__external_id", "account__name")


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Who changed what."""

    list_display = ("at", "actor", "action", "node_kind", "node_id", "acting_account")
    list_filter = ("action", "node_kind")
    list_select_related = ("actor", "acting_account")
    search_fields = ("actor__username", "action", "=node_id")
    date_hierarchy = "at"


@admin.register(IdempotencyKey)
class IdempotencyKeyAdmin(ReadOnlyAdmin):
    """Mutations already carried out."""

    list_display = ("mutation", "client_mutation_id", "user", "created_at")
    list_filter = ("mutation",)
    list_select_related = ("user",)
    search_fields = ("client_mutation_id", "user__username")


@admin.register(RequestAllowance)
class RequestAllowanceAdmin(ReadOnlyAdmin):
    """What is used up of the requests a minute."""

    list_display = ("asker", "full_at")
    search_fields = ("asker",)


class RoleFilter(admin.SimpleListFilter):
    """By role; Django's own filter would offer every permission of the installation."""

    title = "role"
    parameter_name = "role"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ANN401, ARG002 Django's signature
        """Offer the roles."""
        return [(str(role.value), str(role.label)) for role in Role]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 Django's signature
        """Keep the grants of the chosen role."""
        value = self.value()
        return queryset.filter(permission__codename=value) if value else queryset


class GrantAdmin(ReadOnlyAdmin):
    """Roles on nodes of one kind; `grant_role` and `revoke_role` change them."""

    list_filter = (RoleFilter, ("ends_at", admin.EmptyFieldListFilter))
    list_select_related = True


class UserGrantAdmin(GrantAdmin):
    """Roles of users."""

    list_display = ("user", "permission", "content_object", "granted_at", "granted_by", "ends_at", "authority")
    search_fields = ("user__username",)


class UserGroupGrantAdmin(GrantAdmin):
    """Roles of user groups."""

    list_display = ("group", "permission", "content_object", "granted_at", "granted_by", "ends_at", "authority")
    search_fields = ("group__name",)


for _model in USER_GRANTS.values():
    admin.site.register(_model, UserGrantAdmin)
for _group_model in USER_GROUP_GRANTS.values():
    admin.site.register(_group_model, UserGroupGrantAdmin)
