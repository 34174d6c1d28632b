"""Writing a document of directories: idempotent, all or nothing, set by set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, connection, transaction
from django.db.models import F, Q

from accounts.models import (
    Account,
    AccountGroup,
    DelegatedAdministrator,
    EnterpriseParent,
    NodeKind,
    NodeRef,
    Provider,
    ResourceDirectory,
)
from accounts.services import audit, quotas
from accounts.services.directory_document import Directory, Document, Fault, read_document
from accounts.services.directory_tree import write_tree
from accounts.services.import_report import ConflictsWithTree, DocumentRefused, ImportReport
from accounts.services.refusal import require_operator

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import date, datetime

    from accounts.policies import Viewer


@transaction.atomic
def import_directory(
    *, viewer: Viewer, text: str | bytes, frozen_months: Mapping[str, Collection[date]]
) -> ImportReport:
    """Bring the database to what the document says of the nodes that it names; other nodes stay. Operators only.

    `frozen_months`: published months by provider code. A document that would change one of them is refused, with a
    fault MONTH_PUBLISHED at each node whose place would change; a restatement passes none and publishes again.
    """
    require_operator(viewer)
    document, faults = read_document(text)
    if faults:
        raise DocumentRefused(faults)
    report = ImportReport()
    providers = _write_providers(document, report)
    directories = _write_directories(document, providers, report)
    try:
        with transaction.atomic():
            write_tree(viewer, document, providers, directories, report, frozen_months)
            _write_offices(viewer, document, directories, report)
            with connection.cursor() as cursor:
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
                cursor.execute("SET CONSTRAINTS ALL DEFERRED")
    except IntegrityError as error:
        raise ConflictsWithTree(str(error).split("\n", maxsplit=1)[0]) from error
    for (provider, _), directory in directories.items() if report.changed else ():
        quotas.require_room(directory=directory, month=viewer.month)
        audit.record(
            viewer=viewer,
            action="import_directory",
            node=NodeRef(NodeKind.RESOURCE_DIRECTORY, directory.pk),
            details={
                "counts": report.counts,
                "changed_months": [str(period) for period in report.changed_months.get(provider, [])],
            },
        )
    return report


def _write_providers(document: Document, report: ImportReport) -> dict[str, Provider]:
    created = changed = 0
    for code, name, time_zone in document.providers:
        provider, new = Provider.objects.get_or_create(code=code, defaults={"name": name, "time_zone": time_zone})
        created += new
        if (provider.name, provider.time_zone) != (name, time_zone):
            provider.name, provider.time_zone = name, time_zone
            provider.save(update_fields=["name", "time_zone"])
            changed += 1
    report.counts |= {"providers_created": created, "providers_changed": changed}
    return {provider.code: provider for provider in Provider.objects.all()}


def _write_directories(
    document: Document, providers: Mapping[str, Provider], report: ImportReport
) -> dict[tuple[str, str], ResourceDirectory]:
    """Enterprises and directories, which are few; the faults that only the database can tell."""
    created = changed = 0
    for external_id, name in document.enterprises:
        enterprise, new = EnterpriseParent.objects.get_or_create(external_id=external_id, defaults={"name": name})
        created += new
        if enterprise.name != name:
            enterprise.name = name
            enterprise.save(update_fields=["name"])
            changed += 1
    report.counts |= {"enterprises_created": created, "enterprises_changed": changed}
    enterprises = EnterpriseParent.objects.in_bulk(
        {directory.enterprise for directory in document.directories}, field_name="external_id"
    )
    faults = [
        Fault(f"accounts[{number}]", "provider", "UNKNOWN_PROVIDER", "is not a provider")
        for number, account in enumerate(document.accounts)
        if account.provider not in providers
    ]
    written: dict[tuple[str, str], ResourceDirectory] = {}
    created = changed = 0
    for number, said in enumerate(document.directories):
        where = f"directories[{number}]"
        if said.provider not in providers:
            faults.append(Fault(where, "provider", "UNKNOWN_PROVIDER", "is not a provider"))
            continue
        if said.enterprise not in enterprises:
            faults.append(Fault(where, "enterprise", "UNKNOWN_ENTERPRISE", "is not an enterprise"))
            continue
        enterprise = enterprises[said.enterprise]
        directory, new = ResourceDirectory.objects.get_or_create(
            provider=providers[said.provider],
            external_id=said.external_id,
            defaults={"enterprise": enterprise, "name": said.name},
        )
        if directory.enterprise_id != enterprise.pk:
            faults.append(Fault(where, "enterprise", "ENTERPRISE_CHANGED", "a directory never changes its enterprise"))
            continue
        created += new
        changed += _update_directory(directory, said) and not new
        written[said.provider, said.external_id] = directory
    if faults:
        raise DocumentRefused(faults)
    report.counts |= {"directories_created": created, "directories_changed": changed}
    return written


def _update_directory(directory: ResourceDirectory, said: Directory) -> bool:
    wanted: dict[str, Any] = {"name": said.name}
    if said.multi_account_management is not None:
        wanted["multi_account_management"] = said.multi_account_management
    if said.quotas is not None:
        wanted |= {
            "max_depth": said.quotas.depth,
            "max_groups": said.quotas.groups,
            "max_accounts": said.quotas.accounts,
            "max_delegated_administrators": said.quotas.delegated_administrators,
        }
    different = [name for name, value in wanted.items() if getattr(directory, name) != value]
    for name in different:
        setattr(directory, name, wanted[name])
    if different:
        directory.save(update_fields=different)
    return bool(different)


def _write_offices(
    viewer: Viewer,
    document: Document,
    directories: Mapping[tuple[str, str], ResourceDirectory],
    report: ImportReport,
) -> None:
    """Management accounts and delegated administrators."""
    managers = delegated = 0
    for said in document.directories:
        directory = directories[said.provider, said.external_id]
        names = {each.account for each in said.delegations} | {said.management_account or ""}
        known = {
            account.external_id: account
            for account in Account.objects.filter(provider_id=directory.provider_id, external_id__in=names)
        }
        manager = known[said.management_account].pk if said.management_account else directory.management_account_id
        if directory.management_account_id != manager:
            directory.management_account_id = manager
            directory.save(update_fields=["management_account"])
            managers += 1
        groups = dict(AccountGroup.objects.filter(directory=directory).values_list("external_id", "pk"))
        for each in said.delegations:
            group_id = None if each.group is None else groups[each.group]
            delegated += _delegate(viewer, directory, known[each.account], group_id, each.ends_at)
    report.counts |= {"management_accounts_changed": managers, "delegations_created": delegated}


def _delegate(
    viewer: Viewer, directory: ResourceDirectory, account: Account, group_id: int | None, ends_at: datetime | None
) -> bool:
    """Register the delegation unless the same one is active."""
    standing = DelegatedAdministrator.objects.filter(directory=directory, account=account, revoked_at__isnull=True)
    active = standing.filter(Q(ends_at__isnull=True) | Q(ends_at__gt=viewer.now))
    if (ends_at is not None and ends_at <= viewer.now) or any(
        (each.group_id, each.ends_at) == (group_id, ends_at) for each in active
    ):
        return False
    active.update(revoked_at=viewer.now)
    standing.update(revoked_at=F("ends_at"))
    DelegatedAdministrator.objects.create(
        directory=directory,
        account=account,
        group_id=group_id,
        registered_at=viewer.now,
        registered_by_id=viewer.user_id,
        ends_at=ends_at,
    )
    audit.record(
        viewer=viewer,
        action="delegate_administrator",
        node=NodeRef(NodeKind.RESOURCE_DIRECTORY, directory.pk),
        details={
            "account": NodeRef(NodeKind.ACCOUNT, account.pk).key,
            "scope": (
                NodeRef(NodeKind.RESOURCE_DIRECTORY, directory.pk)
                if group_id is None
                else NodeRef(NodeKind.ACCOUNT_GROUP, group_id)
            ).key,
            "ends_at": None if ends_at is None else ends_at.isoformat(),
        },
    )
    return True
