"""What a site buys by the market, taken apart: green share, instruments in their order, the rest."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from allocation.engine.findings import Findings
from allocation.engine.hourly import INSTRUMENT_HOURS, SITE_HOURS, read_instrument_hours, read_site_hours
from allocation.engine.instruments import read_instruments
from allocation.engine.lineage.steps import InputRow
from allocation.engine.rows import rows
from allocation.engine.units import ONE, ZERO, exact_sum

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from allocation.engine.energy import SiteEnergy
    from allocation.engine.frames import Activity
    from allocation.engine.instruments import Instrument

_BY_HOUR: Final = (InputRow(SITE_HOURS, None), InputRow(INSTRUMENT_HOURS, None))


class Factor(NamedTuple):
    """What multiplies a quantity: name, exact value, unit, month or set that it belongs to, and its row."""

    name: str
    value: Fraction
    unit: str
    vintage: str
    row: InputRow


class Bought(NamedTuple):
    """Electricity of a site in kWh, its factor, and rows behind it besides those of the two."""

    kwh: Fraction
    factor: Factor
    rows: tuple[InputRow, ...] = ()


def bought(activity: Activity, energy: Mapping[str, SiteEnergy], site: Any) -> Iterator[Bought]:  # noqa: ANN401 a row
    """Yield what a row of sites.csv buys; adds up to its electricity.

    With `matching = hourly`, what an instrument covers is the sum over all hours; so is the rest, by the residual mix
    of the site, or by own ones of hours: their mean, weighed by what each hour bought.
    """
    month, here = f"{activity.header.month:%Y-%m}", InputRow("sites.csv", int(site.row))
    green_kwh = Fraction(site.green_ratio) * energy[str(site.site)].facility_kwh
    if green_kwh:
        yield Bought(green_kwh, Factor("green_g_per_kwh", Fraction(site.green_g_per_kwh), "g/kWh", month, here))
    matched = _by_hour if activity.header.options.matching == "hourly" else _by_month
    covered, rest = matched(activity, energy, site)
    vintages = {str(row.instrument): row.vintage for row in rows(activity.tables["instruments"])}
    for instrument, kwh in covered:
        name, vintage = f"{instrument.type} {instrument.code}", vintages[instrument.code]
        its_row = InputRow("instruments.csv", instrument.row)
        factor = Factor(
            name, instrument.g_per_kwh, "g/kWh", f"{vintage:%Y-%m}" if vintage is not None else month, its_row
        )
        if kwh:
            yield Bought(kwh, factor, _BY_HOUR if matched is _by_hour else ())
    if rest.by_site:
        name = "location_g_per_kwh" if site.residual_g_per_kwh is None else "residual_g_per_kwh"
        factor = Factor(name, Fraction(getattr(site, name)), "g/kWh", month, here)
        yield Bought(rest.by_site, factor, _BY_HOUR if matched is _by_hour else ())
    by_hour = exact_sum(kwh for kwh, _ in rest.by_hour)
    if by_hour:
        mean = exact_sum(kwh * g_per_kwh for kwh, g_per_kwh in rest.by_hour) / by_hour
        factor = Factor("residual_g_per_kwh (mean of hours)", mean, "g/kWh", month, InputRow(SITE_HOURS, None))
        yield Bought(by_hour, factor, _BY_HOUR)


class _Rest(NamedTuple):
    """kWh that nothing covers: by the site's own mix, and (kWh, g/kWh) of hours with a mix of their own."""

    by_site: Fraction
    by_hour: Sequence[tuple[Fraction, Fraction]] = ()


_Covered: TypeAlias = "list[tuple[Instrument, Fraction]]"


def _by_month(activity: Activity, energy: Mapping[str, SiteEnergy], site: Any) -> tuple[_Covered, _Rest]:  # noqa: ANN401 a row
    """Return what each instrument covers of a site by the totals of the month, and the rest."""
    rest = (ONE - Fraction(site.green_ratio)) * energy[str(site.site)].facility_kwh
    whole = exact_sum(
        (ONE - Fraction(other.green_ratio)) * energy[str(other.site)].facility_kwh for other in _market(activity, site)
    )
    mine = rest / whole if whole else ZERO
    covered, left = _covered(whole, [(one, one.kwh) for one in _instruments(activity, site)])
    return [(one, kwh * mine) for one, kwh in covered], _Rest(left * mine)


def _by_hour(activity: Activity, energy: Mapping[str, SiteEnergy], site: Any) -> tuple[_Covered, _Rest]:  # noqa: ANN401 a row
    """Return the same, added up over the hours."""
    hours = read_site_hours(activity.tables, activity.header, energy, Findings())
    generated = read_instrument_hours(activity.tables["instrument_hours"])
    instruments = [one for one in _instruments(activity, site) if one.code in generated]
    others = [(ONE - Fraction(row.green_ratio), hours[str(row.site)]) for row in _market(activity, site)]
    share = ONE - Fraction(site.green_ratio)
    parts: dict[str, list[Fraction]] = {}
    by_site: list[Fraction] = []
    by_hour: list[tuple[Fraction, Fraction]] = []
    for number, hour in enumerate(hours[str(site.site)]):
        whole = exact_sum(part * of_hours[number].kwh for part, of_hours in others)
        mine = share * hour.kwh / whole if whole else ZERO
        available = [(one, generated[one.code].get(number, ZERO)) for one in instruments]
        covered, left = _covered(whole, available)
        for one, kwh in covered:
            parts.setdefault(one.code, []).append(kwh * mine)
        if hour.residual_g_per_kwh is None:
            by_site.append(left * mine)
        else:
            by_hour.append((left * mine, hour.residual_g_per_kwh))
    return [(one, exact_sum(parts.get(one.code, ()))) for one in instruments], _Rest(exact_sum(by_site), by_hour)


def _covered(whole: Fraction, available: Sequence[tuple[Instrument, Fraction]]) -> tuple[_Covered, Fraction]:
    """Return what each instrument covers of a market's electricity, in their order, and what is left."""
    covered: _Covered = []
    for instrument, kwh in available:
        covered.append((instrument, min(whole, kwh)))
        whole -= covered[-1][1]
    return covered, whole


def _market(activity: Activity, site: Any) -> list[Any]:  # noqa: ANN401 rows
    """Return the sites of the market of a site."""
    market = str(site.market or site.cluster)
    return [row for row in rows(activity.tables["sites"]) if str(row.market or row.cluster) == market]


def _instruments(activity: Activity, site: Any) -> list[Instrument]:  # noqa: ANN401 a row
    """Return the instruments of the market of a site, in the order of the cascade."""
    window = activity.header.options.vintage_window_months
    found = read_instruments(activity.tables["instruments"], activity.header.month, window, Findings())
    return found.get(str(site.market or site.cluster), [])
