"""Which nodes, in which months: sets to join with, never lists to loop over."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db.models import BooleanField, Func, QuerySet
from django.db.models.expressions import Combinable, RawSQL

from accounts.models import Account, AccountGroup, EnterpriseParent, NodeKind, ResourceDirectory, ResourceGroup

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models.sql.compiler import SQLCompiler

    from accounts.months import Period
    from accounts.policies.viewer import Viewer


class Purpose(StrEnum):
    """What a set of visible nodes is for; the SQL functions take the same words."""

    SEE = "see"
    NUMBERS = "numbers"
    ADMINISTER = "administer"
    DELEGATE = "delegate"


class Sql(NamedTuple):
    """A SELECT and its parameters, to stand in parentheses in a FROM or in a WITH."""

    text: str
    params: tuple[Any, ...]


_FUNCTIONS = {
    NodeKind.RESOURCE_DIRECTORY: ("accounts_viewer_directories", "directory_id", "accounts_resourcedirectory"),
    NodeKind.ACCOUNT_GROUP: ("accounts_viewer_groups", "group_id", "accounts_accountgroup"),
    NodeKind.ACCOUNT: ("accounts_viewer_accounts", "account_id", "accounts_account"),
    NodeKind.RESOURCE_GROUP: ("accounts_viewer_resource_groups", "resource_group_id", "accounts_resourcegroup"),
}


@dataclass(frozen=True, slots=True)
class VisibleSets:
    """The (node, month) pairs that a viewer may see for one purpose.

    Every set has the columns `node_id`, `valid_from` (inclusive) and `valid_to` (exclusive; `9999-12-01` = for ever),
    none of them ever NULL. Rows of one node may overlap when several roles reach it.
    """

    viewer: Viewer
    purpose: Purpose = Purpose.NUMBERS

    def sql(self, kind: NodeKind) -> Sql:
        """The set of one kind of nodes."""
        viewer = self.viewer
        if viewer.is_operator:
            table = "accounts_enterpriseparent" if kind == NodeKind.ENTERPRISE_PARENT else _FUNCTIONS[kind][2]
            return Sql(
                "SELECT every.id AS node_id, DATE '0001-01-01' AS valid_from, DATE '9999-12-01' AS valid_to"  # noqa: S608 fixed names
                f" FROM {table} AS every WHERE (SELECT accounts_is_operator(%s))",
                (viewer.user_id,),
            )
        if kind == NodeKind.ENTERPRISE_PARENT:
            return Sql(
                "SELECT root.node_id, root.valid_from, root.valid_to FROM accounts_viewer_roots(%s, %s, %s) AS root"
                " WHERE root.node_kind = 'enterprise_parent'",
                (viewer.user_id, viewer.now, self.purpose.value),
            )
        function, column, _ = _FUNCTIONS[kind]
        return Sql(
            f"SELECT seen.{column} AS node_id, seen.valid_from, seen.valid_to FROM {function}(%s, %s, %s) AS seen",  # noqa: S608 fixed names
            (viewer.user_id, viewer.now, self.purpose.value),
        )

    def roots(self) -> Sql:
        """The nodes on which roles stand: columns of `accounts_viewer_roots`. Operators have none: they need none."""
        return Sql(
            "SELECT * FROM accounts_viewer_roots(%s, %s, %s)",
            (self.viewer.user_id, self.viewer.now, self.purpose.value),
        )

    def ids(self, kind: NodeKind, *, period: Period | None = None) -> RawSQL:
        """Ids visible in any month (of the period), for `filter(id__in=...)`."""
        text, params = self.sql(kind)
        select = f"SELECT visible.node_id FROM ({text}) AS visible"  # noqa: S608 fixed names
        if period is None:
            return RawSQL(select, params)  # noqa: S611 parameters stay apart from the text
        within = f"{select} WHERE visible.valid_from < %s AND visible.valid_to > %s"
        return RawSQL(within, (*params, period.bound, period.start))  # noqa: S611 parameters stay apart from the text

    def enterprises(self, *, period: Period | None = None) -> QuerySet[EnterpriseParent]:
        """Enterprises on which the viewer has a role."""
        return EnterpriseParent.objects.filter(id__in=self.ids(NodeKind.ENTERPRISE_PARENT, period=period))

    def directories(self, *, period: Period | None = None) -> QuerySet[ResourceDirectory]:
        """Directories visible as a whole."""
        return ResourceDirectory.objects.filter(id__in=self.ids(NodeKind.RESOURCE_DIRECTORY, period=period))

    def groups(self, *, period: Period | None = None) -> QuerySet[AccountGroup]:
        """Groups visible in any month (of the period)."""
        return AccountGroup.objects.filter(id__in=self.ids(NodeKind.ACCOUNT_GROUP, period=period))

    def accounts(self, *, period: Period | None = None) -> QuerySet[Account]:
        """Accounts visible in any month (of the period)."""
        return Account.objects.filter(id__in=self.ids(NodeKind.ACCOUNT, period=period))

    def resource_groups(self, *, period: Period | None = None) -> QuerySet[ResourceGroup]:
        """Resource groups visible in any month (of the period)."""
        return ResourceGroup.objects.filter(id__in=self.ids(NodeKind.RESOURCE_GROUP, period=period))


class SeenIn(Func):
    """Condition: the node named by one column may be seen in the month named by another.

    `Rollup.objects.filter(SeenIn(VisibleSets(viewer), NodeKind.ACCOUNT, node="account_id", month="month"))`
    """

    conditional = True
    output_field = BooleanField()

    def __init__(self, sets: VisibleSets, kind: NodeKind, *, node: str | Combinable, month: str | Combinable) -> None:
        super().__init__(node, month)
        self._set = sets.sql(kind)

    def as_sql(
        self,
        compiler: SQLCompiler,
        connection: BaseDatabaseWrapper,
        function: str | None = None,
        template: str | None = None,
        arg_joiner: str | None = None,
        **extra_context: Any,  # noqa: ANN401 Django's signature
    ) -> tuple[str, tuple[Any, ...]]:
        """An EXISTS over the set; the planner turns it into a semi-join."""
        del connection, function, template, arg_joiner, extra_context
        node, month = self.get_source_expressions()
        node_sql, node_params = compiler.compile(node)
        month_sql, month_params = compiler.compile(month)
        text = (
            f"EXISTS (SELECT 1 FROM ({self._set.text}) AS visible WHERE visible.node_id = {node_sql}"  # noqa: S608 fixed names
            f" AND visible.valid_from <= {month_sql} AND visible.valid_to > {month_sql})"
        )
        return text, (*self._set.params, *node_params, *month_params, *month_params)
