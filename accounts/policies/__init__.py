"""What a viewer may see in which month, and what they may do.

Every decision is about (viewer, node, month). It is made by SQL functions (migration `0003_visible_sets`), in the same
statement that reads, so a permission is a WHERE clause and never a loop:

| Function | Answers |
|---|---|
| `accounts_viewer_roots(viewer, now, purpose)` | the nodes on which roles stand, clipped to the months that count |
| `accounts_viewer_spans(viewer, now, purpose)` | the same, without the roles: worked out once for a statement |
| `accounts_viewer_directories / _groups / _accounts / _resource_groups(viewer, now, purpose)` | everything below them |
| `accounts_viewer_months(viewer, now, purpose, kind, ids)` | for a page of nodes: the months in which each is seen |
| `accounts_viewer_explorable(viewer, now, kind, ids)` | those above something visible, by name only; NULL: all |

`VisibleSets(viewer, purpose)` hands them out as querysets, as SQL with parameters, and (`SeenIn`) as a condition:

    sets = VisibleSets(viewer)                                   # purpose NUMBERS: emissions, counts, exports
    AccountMonth.objects.filter(SeenIn(sets, NodeKind.ACCOUNT, node="account_id", month="month"))

    visible = sets.sql(NodeKind.ACCOUNT)
    cursor.execute(
        f"WITH visible AS MATERIALIZED ({visible.text}) "
        "SELECT rollup.month, sum(rollup.amount_ug) FROM allocation_accountmonth rollup "
        "WHERE EXISTS (SELECT FROM visible WHERE visible.node_id = rollup.account_id "
        "              AND rollup.month >= visible.valid_from AND rollup.month < visible.valid_to) GROUP BY 1",
        visible.params,
    )

Rows of a set may overlap where several roles reach a node: join them with EXISTS or IN, never under a sum.

Who sees a node in a month sees everything that stands below it in that month, except directories of an enterprise
where multi-account management is off. So the total of one node needs no set: take the months from `months_of(viewer,
kind=..., ids=[...])`, and for an enterprise its visible directories, and read the roll-up of the node.
"""

from accounts.models import NodeKind, NodeRef, Role
from accounts.policies.ancestry import Ancestor, ancestors
from accounts.policies.decisions import (
    Access,
    Action,
    Authority,
    Root,
    access_to,
    administered,
    authority_over,
    explorable,
    may,
    may_throughout,
    months_of,
    roots_of,
)
from accounts.policies.viewer import Viewer, viewer_of
from accounts.policies.visible import Purpose, SeenIn, Sql, VisibleSets

__all__ = [
    "Access",
    "Action",
    "Ancestor",
    "Authority",
    "NodeKind",
    "NodeRef",
    "Purpose",
    "Role",
    "Root",
    "SeenIn",
    "Sql",
    "Viewer",
    "VisibleSets",
    "access_to",
    "administered",
    "ancestors",
    "authority_over",
    "explorable",
    "may",
    "may_throughout",
    "months_of",
    "roots_of",
    "viewer_of",
]
