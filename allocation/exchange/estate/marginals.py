"""The distributions that generated usage follows, fitted to real billing rows (fixtures/generator/marginals.json)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Product:
    """A service of a provider. `rows` is its number of rows in the bill that the marginals were fitted to."""

    code: str
    name: str
    unit: str
    rows: int


@dataclass(frozen=True, slots=True)
class Component:
    """One lognormal part of a mixture, natural logarithms."""

    weight: float
    mu: float
    sigma: float


@dataclass(frozen=True, slots=True)
class Quantity:
    """How the quantities of one unit are distributed.

    Either a lognormal mixture, or (`p_one` given) an atom at 1 beside a beta distribution below it: part of an hour.
    """

    components: tuple[Component, ...] = ()
    whole: bool = False
    p_one: float | None = None
    beta_a: float = 1.0
    beta_b: float = 1.0

    def draw(self, random: np.random.Generator, count: int, spread: float) -> npt.NDArray[np.float64]:
        """Draw quantities.

        Args:
            random: where the numbers come from.
            count: how many.
            spread: factor on the standard deviation of the logarithms; 1 is as fitted, less is tamer.
        """
        if self.p_one is not None:
            part = random.beta(self.beta_a, self.beta_b, count)
            return np.where(random.random(count) < self.p_one, 1.0, part)
        bounds = np.cumsum([component.weight for component in self.components])[:-1]
        which = np.searchsorted(bounds, random.random(count), side="right")
        mu = np.array([component.mu for component in self.components])[which]
        sigma = np.array([component.sigma for component in self.components])[which]
        drawn = np.exp(mu + spread * sigma * random.standard_normal(count))
        return np.ceil(drawn) if self.whole else drawn


@dataclass(frozen=True, slots=True)
class Marginals:
    """All distributions.

    Attributes:
        products: what is sold, with their row counts.
        quantities: by unit.
        rank_s: exponent of the Zipf-Mandelbrot law of rows per account within an enterprise.
        rank_q: its shift.
        enterprise_sigma: of the lognormal weights of enterprises.
        groups_per_account: mean number of resource groups.
        regions_per_account: mean number of clusters that an account uses.
        rows_by_region_rank: row counts of regions, largest first.
        tagged_share: share of rows with a resource group of their own.
        credit_share: share of rows with a negative quantity.
    """

    products: tuple[Product, ...]
    quantities: dict[str, Quantity]
    rank_s: float
    rank_q: float
    enterprise_sigma: float
    groups_per_account: float
    regions_per_account: float
    rows_by_region_rank: tuple[int, ...]
    tagged_share: float
    credit_share: float

    def rank_weights(self, count: int) -> npt.NDArray[np.float64]:
        """Expected share of rows of the accounts of one enterprise, by rank; they add up to 1."""
        ranks = np.arange(1, count + 1, dtype=np.float64)
        weights = (ranks + self.rank_q) ** -self.rank_s
        shares: npt.NDArray[np.float64] = weights / weights.sum()
        return shares

    def cluster_weights(self, count: int) -> npt.NDArray[np.float64]:
        """Popularity of clusters by rank; ranks beyond the fitted ones count as much as the last."""
        last = len(self.rows_by_region_rank) - 1
        weights = np.array([self.rows_by_region_rank[min(rank, last)] for rank in range(count)], dtype=np.float64)
        shares: npt.NDArray[np.float64] = weights / weights.sum()
        return shares


def read_marginals(fixtures: Path) -> Marginals:
    """Read the fitted distributions.

    Args:
        fixtures: the folder `fixtures/`.

    Raises:
        OSError, KeyError, ValueError: the file is absent or not as described in fixtures/README.md.
    """
    data: dict[str, Any] = json.loads((fixtures / "generator" / "marginals.json").read_text(encoding="utf-8"))
    return Marginals(
        products=tuple(Product(**product) for product in data["products"]),
        quantities={unit: _quantity(how) for unit, how in data["quantity_by_unit"].items()},
        rank_s=data["account_rank"]["s"],
        rank_q=data["account_rank"]["q"],
        enterprise_sigma=data["enterprise_weight"]["sigma"],
        groups_per_account=data["resource_groups_per_account"]["mean"],
        regions_per_account=data["regions_per_account"]["mean"],
        rows_by_region_rank=tuple(data["rows_by_region_rank"]),
        tagged_share=data["tagged_share"],
        credit_share=data["credit_share"],
    )


def _quantity(how: dict[str, Any]) -> Quantity:
    match how["kind"]:
        case "lognormal":
            return Quantity((Component(1.0, how["mu"], how["sigma"]),), whole=how.get("integer", False))
        case "lognormal_mixture":
            return Quantity(tuple(Component(part["w"], part["mu"], part["sigma"]) for part in how["components"]))
        case "atom_beta":
            return Quantity(p_one=how["p_one"], beta_a=how["beta_a"], beta_b=how["beta_b"])
        case kind:
            raise ValueError(f"no distribution of kind {kind}")
