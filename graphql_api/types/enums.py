"""Enums of the API: the domain's own, with a name and a description of each value."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import strawberry

from allocation.policies import Kind
from allocation.selectors.amounts import Method, Scope
from allocation.selectors.children import ChildOrder
from allocation.selectors.emissions import LocationLevel, Order
from allocation.selectors.nodes import Access, Status
from allocation.selectors.standing import Reason
from allocation.selectors.statuses import DataStatus

if TYPE_CHECKING:
    from collections.abc import Mapping


def described(domain: type[enum.Enum], *, name: str, description: str, values: Mapping[str, str]) -> None:
    """Make a domain enum known to GraphQL; every member needs a description."""
    strawberry.enum(domain, name=name, description=description)
    definition = domain.__strawberry_definition__  # type: ignore[attr-defined] # Strawberry has just set it
    for value in definition.values:
        value.description = values[value.name]


described(
    Method,
    name="Scope2Method",
    description="How purchased electricity and heat are accounted for. The two are never added to each other.",
    values={
        "LOCATION_BASED": "By the average of the grid where it was used.",
        "MARKET_BASED": "By the contracts and certificates bought for it.",
    },
)
described(
    Scope,
    name="Scope",
    description="Scope of the GHG Protocol, from the cloud provider's point of view.",
    values={
        "SCOPE_1": "Direct: fuel burnt and refrigerants lost in the data centres.",
        "SCOPE_2": "Electricity, heat and cooling that the data centres buy.",
        "SCOPE_3": "Everything else: hardware, fuel supply, leased rooms.",
    },
)
described(
    Kind,
    name="NodeKind",
    description="Kind of a node of the hierarchy, from the top down.",
    values={
        "ENTERPRISE_PARENT": "A company; owns directories at one or more providers.",
        "RESOURCE_DIRECTORY": "One organisation at one provider.",
        "ACCOUNT_GROUP": "A folder, organizational unit or account group.",
        "MISCELLANEOUS": "Stands for the accounts of a directory that are in no group.",
        "ACCOUNT": "A cloud account.",
        "RESOURCE_GROUP": "A resource group, tag or project inside an account.",
    },
)
described(
    Status,
    name="NodeStatus",
    description="Whether a node is in use.",
    values={"ACTIVE": "In use.", "CLOSED": "Closed; it keeps its name and its history."},
)
described(
    Access,
    name="NodeAccess",
    description="How the viewer may know a node.",
    values={
        "VISIBLE": "A role of the viewer reaches it in at least one month.",
        "NAME_ONLY": "Only something below it is visible: its name may be shown.",
    },
)
described(
    DataStatus,
    name="DataStatus",
    description="What stands behind a number, or behind its absence.",
    values={
        "REPORTED": "A published number above zero, nothing left out.",
        "ZERO": "Published, and exactly zero.",
        "ZERO_EMISSION_SITE": "Zero by the market, because every site behind it buys only green power.",
        "BELOW_THRESHOLD": "Below the provider's reporting threshold.",
        "NOT_YET_PUBLISHED": "The provider has not published it yet.",
        "NOT_COVERED": "The provider does not report it.",
        "NOT_PERMITTED": "No role of the viewer reaches it.",
        "PARTIAL": "A number that leaves something out; see `omissions`.",
    },
)
described(
    Reason,
    name="OmissionReason",
    description="Why something is left out of a total.",
    values={
        "NOT_PERMITTED": "No role of the viewer reaches it.",
        "MULTI_ACCOUNT_DISABLED": "Multi-account management is switched off in the directory.",
        "NOT_YET_PUBLISHED": "The provider has not published these months yet.",
        "NOT_COVERED": "The provider does not report these months.",
    },
)
described(
    ChildOrder,
    name="ChildOrder",
    description="How children are sorted. Ties are broken by kind and age.",
    values={
        "EMISSIONS_DESC": "Largest emissions first; those without a number last.",
        "EMISSIONS_ASC": "Smallest emissions first; those without a number last.",
        "NAME_ASC": "By name, in the order of Unicode.",
    },
)
described(
    Order,
    name="BreakdownOrder",
    description="How a breakdown is sorted.",
    values={"EMISSIONS_DESC": "Largest emissions first.", "NAME_ASC": "By name, in the order of Unicode."},
)
described(
    LocationLevel,
    name="LocationLevel",
    description="How finely locations are told apart.",
    values={
        "COUNTRY": "Countries; edge locations stand together as Global services.",
        "REGION": "The provider's regions; edge locations stand together as Global services.",
        "CLUSTER": "Regions, zones or data centres, as finely as the provider reports.",
    },
)

__all__ = [
    "Access",
    "ChildOrder",
    "DataStatus",
    "Kind",
    "LocationLevel",
    "Method",
    "Order",
    "Reason",
    "Scope",
    "Status",
]
