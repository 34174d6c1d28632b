"""Enums of the API: the domain's own, with a name and a description of each value."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import strawberry

from allocation.policies import Kind, View
from allocation.selectors.amounts import Method, Scope
from allocation.selectors.child_page import ChildOrder
from allocation.selectors.comparisons import Comparison
from allocation.selectors.cube import CubeOrder
from allocation.selectors.dimensions import Dimension
from allocation.selectors.explanations import Redaction
from allocation.selectors.exports import ExportFormat, ExportLayout, ExportState
from allocation.selectors.factors import FactorKind
from allocation.selectors.nodes import Access, Status
from allocation.selectors.recommendations import RecommendationKind
from allocation.selectors.spans import Granularity
from allocation.selectors.standing import Reason
from allocation.selectors.statuses import DataStatus
from allocation.selectors.targets import TargetKind, TargetStatus
from allocation.selectors.what_if import Assumption as WhatIfAssumption
from allocation.selectors.what_if import ChangeStatus
from allocation.services.explanation import Driver, PlaceKind, Stage

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
    View,
    name="HierarchyView",
    description="By which tree months are rolled up. What may be seen is decided by the tree of the month in both.",
    values={
        "AS_WAS": "Each month by the tree of that month: audited totals stay when the organisation changes.",
        "AS_IS": "All months by the tree of today: for trends after a reorganisation.",
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
        "BELOW_THRESHOLD": "Above zero, but below the provider's threshold, and therefore in no total.",
        "NOT_YET_PUBLISHED": "The provider has not published it yet.",
        "NOT_COVERED": "The provider does not measure it, or not in these months.",
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
        "NOT_COVERED": "The provider does not report these months, or not all services in them.",
        "BELOW_THRESHOLD": "Some of it is below the provider's threshold for an account and service in a month.",
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
    CubeOrder,
    name="BreakdownOrder",
    description="How the rows of a breakdown are sorted.",
    values={
        "EMISSIONS_DESC": "Largest emissions first.",
        "KEY_ASC": "By time, if the rows have one, then by names in the order of Unicode.",
    },
)
described(
    Comparison,
    name="Comparison",
    description="With which period a period is compared.",
    values={
        "PREVIOUS_PERIOD": "As many months, just before.",
        "SAME_PERIOD_LAST_YEAR": "The same months, a year earlier.",
        "BASE_YEAR": "The same months, counted from `baseYear` instead of the year in which the period begins.",
    },
)
described(
    Granularity,
    name="Granularity",
    description="How finely time is told apart.",
    values={
        "MONTH": "Months.",
        "QUARTER": "Calendar quarters.",
        "YEAR": "Calendar years, or fiscal years by `fiscalYearStart`.",
    },
)
described(
    Dimension,
    name="Dimension",
    description="What emissions can be grouped by, besides time.",
    values={
        "PROVIDER": "The provider.",
        "SERVICE": "The provider's service.",
        "SERVICE_CATEGORY": "The provider's category of the service.",
        "COUNTRY": "The country of the location; edge locations stand together as Global services.",
        "REGION": "The provider's region; edge locations stand together as Global services.",
        "CLUSTER": "The location as finely as the provider reports it.",
        "ACCOUNT_GROUP": "The group in which the account stands directly in the month; Miscellaneous without one.",
        "ACCOUNT": "The account.",
        "RESOURCE_GROUP": "The resource group; for nodes with at most 500 accounts.",
        "SCOPE": "The provider's scope, by the method asked for.",
        "LINE": "The emission line; lines of both methods, which are never to be added to each other.",
        "QUALITY": "The quality of the data; for nodes with at most 500 accounts.",
    },
)
described(
    ExportLayout,
    name="ExportLayout",
    description="Which columns the files of an export have.",
    values={
        "CANOPY": "Ours: one row for each line of each resource group, service and location; micrograms, kg, Wh.",
        "AWS": "The 23 columns of the AWS carbon-emissions table: account, product and region; metric tons.",
    },
)
described(
    ExportFormat,
    name="ExportFormat",
    description="How the rows of an export are written.",
    values={"CSV": "UTF-8, a header, line feeds; empty = null.", "PARQUET": "Apache Parquet."},
)
described(
    ExportState,
    name="ExportState",
    description="Where an export stands.",
    values={
        "QUEUED": "Waits for a worker.",
        "RUNNING": "Is being written; `percent` says how far it is.",
        "READY": "Can be downloaded until `expiresAt`.",
        "FAILED": "Was given up; `failureCode` says why.",
        "CANCELLED": "Was cancelled; its files are deleted.",
        "EXPIRED": "Its time is over; its files are deleted.",
    },
)
described(
    TargetKind,
    name="TargetKind",
    description="What a target wants to shrink.",
    values={
        "ABSOLUTE": "Emissions.",
        "INTENSITY": "Emissions per kilowatt-hour of facility electricity.",
    },
)
described(
    TargetStatus,
    name="TargetStatus",
    description="How a target stands after the newest twelve months that are complete.",
    values={
        "REACHED": "The target year is complete, at or below the target.",
        "ON_TRACK": "At or below the line.",
        "OFF_TRACK": "Above the line.",
        "MISSED": "The target year is complete, above the target.",
        "UNKNOWN": "The base year is not complete, or no twelve months in a row are, as far as the viewer may see.",
    },
)
described(
    RecommendationKind,
    name="RecommendationKind",
    description="What is recommended.",
    values={
        "CLEANER_LOCATION": "Use the same service in a region where a unit of it emits less.",
        "GROWING_INTENSITY": "Look into it: a unit emits more in the second half of the period than in the first.",
        "METER_ESTIMATED": "Ask the provider to meter it: the figure rests on estimates.",
    },
)
described(
    ChangeStatus,
    name="WhatIfStatus",
    description="Whether a change could be worked out.",
    values={
        "COMPUTED": "In all months with emissions.",
        "PARTLY": "In some months; `monthsLeftOut` names the others.",
        "NO_EMISSIONS": "The node emitted nothing by this service in this region, as far as the viewer may see.",
        "NOT_COMPARABLE": "In no month: a region has no usage, or too few tenants use the service there.",
    },
)
described(
    WhatIfAssumption,
    name="WhatIfAssumption",
    description="What an answer takes for granted.",
    values={
        "SAME_USAGE": "As many units would be used.",
        "AVERAGE_INTENSITY": "A unit emits what it emitted on average there in the month: no marginal effects.",
        "REST_UNCHANGED": "Everything else emits what it emitted, unused capacity included.",
        "NO_MIGRATION": "Moving itself, and data sent between regions, emit nothing.",
        "UNKNOWN_UNCHANGED": "Months in which regions cannot be compared stay as they were.",
    },
)


class LocationLevel(enum.StrEnum):
    """Levels of locations; the values are those of dimensions."""

    COUNTRY = Dimension.COUNTRY.value
    REGION = Dimension.REGION.value
    CLUSTER = Dimension.CLUSTER.value


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


class AccessDecision(enum.StrEnum):
    """What was decided about a node that was asked for."""

    ALLOWED = "allowed"
    PARTIAL = "partial"
    DENIED = "denied"


described(
    AccessDecision,
    name="AccessDecision",
    description="What was decided about a node that was asked for.",
    values={
        "ALLOWED": "All its numbers are shown.",
        "PARTIAL": "Some of its numbers are shown; `omissions` say what is left out.",
        "DENIED": "None of its numbers are shown: it is hidden, or there is no such node.",
    },
)


described(
    Redaction,
    name="Redaction",
    description="Why something is not told.",
    values={
        "PROVIDERS_BUSINESS": "It is the provider's own business: totals, racks, purchases.",
        "OTHERS_USAGE": "It would tell what other customers use.",
        "NOT_PERMITTED": "No role of the viewer reaches all that it is about.",
    },
)
described(
    FactorKind,
    name="FactorKind",
    description="What a factor is for.",
    values={
        "LOCATION": "Electricity by the grid where it was used.",
        "RESIDUAL_MIX": "Electricity by the market that nothing was bought for.",
        "GREEN": "The share of a site's electricity that is bought green.",
        "UPSTREAM_LOCATION": "Fuel and energy upstream of the electricity, location-based.",
        "UPSTREAM_MARKET": "Fuel and energy upstream of the electricity, market-based.",
        "INSTRUMENT": "Electricity covered by certificates, contracts or a supplier's own factor.",
        "GWP": "Global warming potential of a gas.",
    },
)
described(
    PlaceKind,
    name="ExplanationPlaceKind",
    description="What an amount stands at between two steps.",
    values={
        "SOURCE": "Rows that post: sites, gases, assets, shared pools.",
        "CLUSTER": "The cluster as a whole.",
        "RACKS": "All racks of the cluster, after its dedicated machines took their part.",
        "RACK": "A rack or host pool.",
        "OVERHEAD": "Network and management racks together.",
        "POOL": "Unused capacity.",
        "MACHINES": "Dedicated machines of one quality.",
        "SERVICE": "A service in the cluster.",
        "FALLBACK": "Services without usage together.",
        "ACCOUNT": "The account.",
        "RESOURCE_GROUP": "A resource group of the account.",
    },
)
described(
    Driver,
    name="ExplanationDriver",
    description="By what an amount is divided.",
    values={
        "WHOLE": "Not divided: all of it goes this way.",
        "POSTING_UG": "Micrograms that were posted.",
        "IT_KWH": "IT electricity in kWh.",
        "FACILITY_KWH": "IT electricity in kWh times the PUE of the site.",
        "UTILISATION": "Weighted share of the rack's resources.",
        "USED_KWH": "Used IT electricity in kWh.",
        "USED_EMISSIONS_UG": "Micrograms of the capacity in use.",
        "SERVICE_UNITS": "Units of the service, or money at list prices.",
        "PEAK_WEIGHTED_UNITS": "Units of the service, weighed by what their periods add to its peak.",
        "ROUND": "What was passed on in the rounds, and what the last one left.",
        "EARLIER_UNITS": "Units of the service in an earlier month.",
        "EMISSIONS_UG": "Micrograms.",
    },
)
described(
    Stage,
    name="ExplanationStage",
    description="A step of the chain from source to resource group.",
    values={
        "SOURCE_TO_CLUSTER": "What is measured, times its factor, is the cluster's.",
        "CLUSTER_TO_MACHINES": "Dedicated machines take their part first.",
        "CLUSTER_TO_RACKS": "The rest is the racks'.",
        "CLUSTER_TO_RACK": "Racks share by their electricity.",
        "ASSET_TO_RACK": "The month's part of hardware that belongs to one rack.",
        "RACK_TO_OVERHEAD": "A network or management rack hands on what it got.",
        "OVERHEAD_TO_RACK": "The other racks share that by their electricity.",
        "RACK_TO_POOL": "What no service uses of a rack.",
        "RACK_TO_SERVICE": "What a service uses of a rack.",
        "POOL_TO_SERVICE": "Services bear unused capacity.",
        "SERVICE_TO_SERVICE": "What one service uses of another.",
        "SERVICE_TO_ACCOUNT": "What the account uses of the service.",
        "MACHINES_TO_ACCOUNT": "The account's own dedicated machines.",
        "POOL_TO_ACCOUNT": "Accounts bear unused capacity.",
        "SERVICE_TO_FALLBACK": "A service with emissions and without usage.",
        "FALLBACK_TO_ACCOUNT": "The account's part of that.",
        "ACCOUNT_TO_RESOURCE_GROUP": "The account's resource groups.",
    },
)


class RestatementCause(enum.StrEnum):
    """Why a month is published again; a hierarchy restatement follows from a change of structure."""

    DATA = "data"
    FACTOR = "factor"
    METHOD = "method"
    ERROR = "error"


described(
    RestatementCause,
    name="RestatementCause",
    description="Why a month is published again.",
    values={
        "DATA": "Better or late data.",
        "FACTOR": "A new or corrected factor.",
        "METHOD": "A new version of the method.",
        "ERROR": "A mistake.",
    },
)


class AssuranceLevel(enum.StrEnum):
    """How sure a verifier is."""

    LIMITED = "limited"
    REASONABLE = "reasonable"


described(
    AssuranceLevel,
    name="AssuranceLevel",
    description="How sure a verifier is.",
    values={
        "LIMITED": "Nothing came to attention that speaks against it.",
        "REASONABLE": "In the verifier's opinion it is right in all material respects.",
    },
)

__all__ = [
    "Access",
    "AccessDecision",
    "AssuranceLevel",
    "ChangeStatus",
    "ChildOrder",
    "Comparison",
    "CubeOrder",
    "DataStatus",
    "Dimension",
    "Driver",
    "ExportFormat",
    "ExportLayout",
    "ExportState",
    "FactorKind",
    "Granularity",
    "Kind",
    "LocationLevel",
    "Method",
    "PlaceKind",
    "Reason",
    "RecommendationKind",
    "Redaction",
    "RestatementCause",
    "Scope",
    "Stage",
    "Status",
    "TargetKind",
    "TargetStatus",
    "View",
    "WhatIfAssumption",
]
