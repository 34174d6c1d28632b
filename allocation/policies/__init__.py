"""Which rows of the read model a viewer may add up, decided for each (node, month) in the statement that reads them.

A statement starts with the nodes that were asked for. For each of them, and for each month, it takes

* nothing, where the viewer knows the node by name alone: ancestors show no numbers; else
* the inclusive total of the node itself where the viewer sees it as a whole; else, where multi-account management is
  off or history is regrouped,
* the totals of the highest groups below it that the viewer sees, and
* the totals of accounts below it that the viewer sees by a role on the account alone, and
* the ledger rows of resource groups below it that the viewer sees by a role on the resource group alone.

Nothing is taken twice: an account counts alone only in the months in which no visible container holds it, a resource
group only in the months in which its account is not visible. Months are `datemultirange`s; they are intersected and
subtracted, never enumerated, until the published months are joined.

The tree is the tree as known now, which for what is published now is the tree of its publication. As-of questions list
accounts by that of the publication of then (`allocation.selectors.published_tree`).
"""

from __future__ import annotations

from allocation.policies.asked import JOINED, KNOWN_NODE, LEFT, Asked, asked_for
from allocation.policies.nodes import Kind, NodeKey
from allocation.policies.parts import Parts, visible_parts
from allocation.policies.providers import KNOWN_PROVIDERS
from allocation.policies.question import ROLE_KINDS, SWITCHED_OFF, Question, View, role_kinds

__all__ = [
    "JOINED",
    "KNOWN_NODE",
    "KNOWN_PROVIDERS",
    "LEFT",
    "ROLE_KINDS",
    "SWITCHED_OFF",
    "Asked",
    "Kind",
    "NodeKey",
    "Parts",
    "Question",
    "View",
    "asked_for",
    "role_kinds",
    "visible_parts",
]
