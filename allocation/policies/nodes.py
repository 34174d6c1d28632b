"""Nodes whose emissions can be asked for."""

from __future__ import annotations

import enum
from typing import NamedTuple

from accounts.policies import NodeKind, NodeRef


class Kind(enum.StrEnum):
    """Kinds of nodes whose emissions can be asked for, from the top down."""

    ENTERPRISE_PARENT = "enterprise_parent"
    RESOURCE_DIRECTORY = "resource_directory"
    ACCOUNT_GROUP = "account_group"
    MISCELLANEOUS = "miscellaneous"
    ACCOUNT = "account"
    RESOURCE_GROUP = "resource_group"


class NodeKey(NamedTuple):
    """A node by kind and primary key; MISCELLANEOUS has the key of its directory."""

    kind: Kind
    id: int

    @property
    def ref(self) -> NodeRef:
        """The same node in the words of `accounts`; ValueError for MISCELLANEOUS, on which nobody has a role."""
        return NodeRef(NodeKind(self.kind.value), self.id)

    @classmethod
    def of(cls, ref: NodeRef) -> NodeKey:
        """The node of a reference."""
        return cls(Kind(ref.kind.value), ref.id)
