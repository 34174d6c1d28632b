"""The five kinds of nodes, and how one of them is named."""

from __future__ import annotations

from typing import NamedTuple

from django.db import models


class NodeKind(models.TextChoices):
    """Kinds of nodes on which a role can be granted, from the top of the hierarchy to its bottom."""

    ENTERPRISE_PARENT = "enterprise_parent", "enterprise"
    RESOURCE_DIRECTORY = "resource_directory", "resource directory"
    ACCOUNT_GROUP = "account_group", "account group"
    ACCOUNT = "account", "account"
    RESOURCE_GROUP = "resource_group", "resource group"


class NodeRef(NamedTuple):
    """One node: its kind and primary key. Nothing is known yet about whether it exists or may be seen."""

    kind: NodeKind
    id: int

    @property
    def key(self) -> str:
        """`kind:id`, the form in which `Grant.authority` stores it."""
        return f"{self.kind.value}:{self.id}"

    @classmethod
    def parse(cls, key: str) -> NodeRef:
        """Read `kind:id`; ValueError if it is not one."""
        kind, _, node_id = key.partition(":")
        return cls(NodeKind(kind), int(node_id))
