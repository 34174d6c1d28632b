"""What the engine tells people about each broken package of the oracle: the field and the sentence."""

MESSAGES: dict[str, list[tuple[str | None, str]]] = {
    "line excluded": [
        ("lines", "3000000000 µg on the line scope1 are not allocated: the methodology leaves it out"),
    ],
    "PUE": [
        ("pue", "site i1 has a PUE of 0.99"),
    ],
    "facility below IT": [
        ("facility_kwh", "site i1 has less facility energy than IT energy"),
    ],
    "no PUE": [
        (None, "site i2 has neither facility_kwh nor pue"),
    ],
    "no location factor": [
        ("location_g_per_kwh", "site i2 has no location-based factor"),
    ],
    "gas of a gas": [
        ("gas", "gas CO has no GWP in the set AR6"),
    ],
    "set of a gas": [
        ("gwp_set", "CO2e by the GWP set AR5 in a package that uses AR6"),
    ],
    "GWP of another set only": [
        ("gas", "gas CO2 has no GWP in the set AR6"),
    ],
    "pool in another set": [
        ("gwp_set", "pool p1 is by the GWP set AR5 in a package that uses AR6"),
    ],
    "rack without energy": [
        (None, "rack ra has neither it_kwh nor all of servers, idle_w and max_w"),
    ],
    "racks beyond the month": [
        ("hours", "720.01 hours are more than the month's 720"),
    ],
    "machines beyond the month": [
        ("hours", "720.01 hours are more than the month's 720"),
    ],
    "site left open": [
        ("site", "rack rb must name its site: cluster k1 has several"),
        ("site", "rack rn must name its site: cluster k1 has several"),
    ],
    "region with a cluster of two sites": [
        ("cluster", "rack rn of region r1: each active cluster of the region needs exactly one site"),
    ],
    "pool over k3": [
        (None, "k3 has no active cluster, or the drivers of its clusters add up to 0"),
    ],
    "pool over r3": [
        (None, "r3 has no active cluster, or the drivers of its clusters add up to 0"),
    ],
    "asset pool over k3": [
        (None, "k3 has no active cluster, or the drivers of its clusters add up to 0"),
    ],
    "machine above its cluster": [
        (None, "the machines of cluster k1 draw 1000.1 kWh of its 1000.0"),
    ],
    "credit": [
        (None, "cluster k1: 1 leaves with negative net usage count as 0: s1|a2|default"),
    ],
    "closed class": [
        (None, "in cluster k1 these services feed only each other: s3"),
    ],
    "closed class as overhead": [
        (None, "in cluster k1 these services feed only each other: s3"),
    ],
    "service without usage": [
        (None, "service s3 of cluster k1 has emissions and no usage: cluster_overhead"),
    ],
    "overbooked": [
        (None, "rack ra is used to 1.001 of its capacity: scaled down to 1"),
    ],
    "gap of a site": [
        ("facility_kwh", "site i1: facility_kwh 1575.01 against pue x it_kwh 1500.0"),
    ],
    "gap of a cluster": [
        (None, "cluster k2: 500.0 kWh IT against 476.0 kWh of racks and machines"),
    ],
    "summed from racks": [
        (None, "the energy of site i2 is the sum of its racks and machines times its PUE"),
    ],
    "no residual mix": [
        ("residual_g_per_kwh", "site i1 has no residual mix: its location-based factor is used"),
    ],
    "old vintage": [
        (None, "instrument e1 is not applied: its vintage is more than 12 months away"),
    ],
    "not retired": [
        (None, "instrument e1 is not applied: it is not retired"),
    ],
    "surplus": [
        (None, "instrument e1 has a surplus of 0.1 kWh, which is not carried over"),
    ],
    "no utilisation": [
        ("utilisation", "rack ra has no utilisation: 0.5 is assumed"),
    ],
    "empty cluster": [
        (None, "cluster k2 has emissions but no used energy"),
        (None, "service (unused) of cluster k2 has emissions and no usage: unallocated"),
    ],
    "usage without source": [
        (None, "cluster k3 has usage but no line: its usage gets no ledger rows"),
    ],
    "service use ignored": [
        (None, "dependencies = direct: 1 rows are ignored"),
    ],
    "hour beyond the month": [
        ("hour", "hour 720 lies beyond the month, whose last one is 719"),
    ],
    "hour of an instrument beyond the month": [
        ("hour", "hour 999 lies beyond the month, whose last one is 719"),
    ],
    "hour missing": [
        (None, "site i1 lacks 1 hours of the month, first 5"),
    ],
    "no hours at all": [
        (None, "site i1 lacks 720 hours of the month, first 0"),
        (None, "site i2 lacks 720 hours of the month, first 0"),
    ],
    "no consumption by hour": [
        (None, "site i2 has no consumption by hour"),
    ],
    "consumption beyond the invoice": [
        (None, "site i1: 3000.01 kWh by hour against 1500.0 kWh of the month"),
    ],
    "more by hour than there is": [
        ("kwh", "instrument e1: 1.1 kWh by hour of its 1.0"),
    ],
    "instrument without hours": [
        (None, "instrument e2 is not applied: its generation by hour is unknown"),
    ],
    "generation when nobody needs it": [
        (None, "instrument e1 has a surplus of 1497.9166666666667 kWh, which is not carried over"),
    ],
    "hours in vain": [
        (None, "matching = monthly: 1 rows are ignored"),
    ],
    "periods missing": [
        (None, "cluster k1: the periods of 2 leaves do not fit their usage: s1|a1|default, s1|a2|default"),
        (None, "cluster k2: the periods of 1 leaves do not fit their usage: s1|a1|default"),
    ],
    "periods that do not fit": [
        (None, "cluster k1: the periods of 1 leaves do not fit their usage: s1|a1|default"),
    ],
    "periods of nobody": [
        (None, "cluster k2: the periods of 1 leaves do not fit their usage: s1|a2|default"),
    ],
    "periods in vain": [
        (None, "6 rows are of services whose key is not peak_weighted: they are ignored"),
    ],
    "cross use ignored": [
        (None, "dependencies = direct: 1 rows are ignored"),
    ],
    "class closed across clusters": [
        (None, "in cluster k1 these services feed only each other: k2|s3, s3"),
        (None, "in cluster k2 these services feed only each other: k1|s3, s3"),
    ],
    "class closed across clusters as overhead": [
        (None, "in cluster k1 these services feed only each other: k2|s3, s3"),
        (None, "in cluster k2 these services feed only each other: k1|s3, s3"),
    ],
}
