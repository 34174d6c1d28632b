"""How much: packages, activity, methodology versions, runs, ledger, roll-ups, publications."""

<<<<<<< HEAD
from allocation.models.activity import PackageAccount, PackageCluster, PackageService, ServiceUse, UsageRow
from allocation.models.assurance import AssuranceLevel, VerificationStatement, VerifiedPublication
=======
from allocation.models.activity import (
    CrossUse,
    PackageAccount,
    PackageCluster,
    PackageService,
    ServiceUse,
    UsagePeriod,
    UsageRow,
)
>>>>>>> main
from allocation.models.catalog import Cluster, Region, Service
from allocation.models.exports import (
    OPEN_EXPORTS,
    Export,
    ExportFile,
    ExportFormat,
    ExportLayout,
    ExportSchedule,
    ExportState,
)
from allocation.models.intensities import RecommendationDismissal, ServiceIntensity
from allocation.models.ledger import LedgerRow, SpecialAccount
from allocation.models.methodology import MethodologyVersion
from allocation.models.package import Package, PackageFinding, Severity
from allocation.models.publication import Cause, Publication, PublishedMonth, Restatement, Withdrawal
from allocation.models.racks import Machine, Rack, RackResource, RackUse
from allocation.models.rollups import AccountTotal, ContainerTotal, Grain, LineAmounts
from allocation.models.runs import (
    LEGAL_TRANSITIONS,
    PROVED,
    RUNNING,
    AllocationRun,
    RunChunk,
    RunFinding,
    RunInput,
    RunLocation,
    RunProof,
    RunState,
    RunTransition,
)
from allocation.models.sites import (
    Asset,
    DirectGas,
    GlobalWarmingPotential,
    Instrument,
    InstrumentHour,
    SharedPool,
    Site,
    SiteHour,
    Uncertainty,
)
from allocation.models.targets import Target, TargetKind

__all__ = [
    "LEGAL_TRANSITIONS",
    "OPEN_EXPORTS",
    "PROVED",
    "RUNNING",
    "AccountTotal",
    "AllocationRun",
    "Asset",
    "AssuranceLevel",
    "Cause",
    "Cluster",
    "ContainerTotal",
    "CrossUse",
    "DirectGas",
    "Export",
    "ExportFile",
    "ExportFormat",
    "ExportLayout",
    "ExportSchedule",
    "ExportState",
    "GlobalWarmingPotential",
    "Grain",
    "Instrument",
    "InstrumentHour",
    "LedgerRow",
    "LineAmounts",
    "Machine",
    "MethodologyVersion",
    "Package",
    "PackageAccount",
    "PackageCluster",
    "PackageFinding",
    "PackageService",
    "Publication",
    "PublishedMonth",
    "Rack",
    "RackResource",
    "RackUse",
    "RecommendationDismissal",
    "Region",
    "Restatement",
    "RunChunk",
    "RunFinding",
    "RunInput",
    "RunLocation",
    "RunProof",
    "RunState",
    "RunTransition",
    "Service",
    "ServiceIntensity",
    "ServiceUse",
    "Severity",
    "SharedPool",
    "Site",
    "SiteHour",
    "SpecialAccount",
    "Target",
    "TargetKind",
    "Uncertainty",
    "UsagePeriod",
    "UsageRow",
    "VerificationStatement",
    "VerifiedPublication",
    "Withdrawal",
]
