"""Every code of package-format section 7, and of section 9."""

PACKAGE_CODES = [
    "MISSING_FILE",
    "BAD_ENCODING",
    "BAD_TOML",
    "UNSUPPORTED_FORMAT",
    "BAD_MONTH",
    "BAD_TIMEZONE",
    "HOURS_MISMATCH",
    "BAD_OPTION",
    "VERSION_CONFLICT",
    "BAD_HEADER",
    "BAD_ROW",
    "MISSING_VALUE",
    "BAD_NUMBER",
    "BAD_CODE",
    "BAD_VALUE",
    "NEGATIVE_VALUE",
    "RATIO_OUT_OF_RANGE",
    "DUPLICATE_KEY",
    "UNKNOWN_CLUSTER",
    "UNKNOWN_SERVICE",
    "UNKNOWN_ACCOUNT",
    "UNKNOWN_SITE",
    "UNKNOWN_RACK",
    "UNKNOWN_RESOURCE",
    "UNKNOWN_MARKET",
    "TOO_MANY_REJECTED",
    "PUE_BELOW_ONE",
    "NO_SITE_ENERGY",
    "NO_FACTOR",
    "MIXED_GWP",
    "NO_RACK_ENERGY",
    "HOURS_EXCEED_MONTH",
    "SITE_REQUIRED",
    "SITE_CLUSTER_MISMATCH",
    "REGION_SPLIT",
    "RACK_USE_CONFLICT",
    "NO_POOL_DRIVER",
    "MACHINE_EXCEEDS_CLUSTER",
    "CLOSED_CLASS",
]
ROW_CODES = [
    "BAD_ROW",
    "MISSING_VALUE",
    "BAD_NUMBER",
    "BAD_CODE",
    "UNKNOWN_CLUSTER",
    "UNKNOWN_SERVICE",
    "UNKNOWN_ACCOUNT",
    "MONTH_MISMATCH",
]
FLAG_CODES = [
    "CLOSED_CLASS",
    "OVERBOOKED",
    "CLOSURE_GAP",
    "BOTTOM_UP_SITE",
    "DEFAULT_UTILISATION",
    "NO_RESIDUAL_MIX",
    "INELIGIBLE_INSTRUMENT",
    "SURPLUS_INSTRUMENT",
    "NEGATIVE_NET_USAGE",
    "NO_USAGE_FALLBACK",
    "EMPTY_CLUSTER",
    "NO_SOURCE",
    "DEPENDENCIES_IGNORED",
    "LINE_EXCLUDED",
    "ROWS_REJECTED",
    "UNKNOWN_FILE",
]
# Codes of section 9, which goes beyond version 1.
BEYOND = {
    ("HOURS_INCOMPLETE", "package"),
    ("INSTRUMENT_EXCEEDED", "package"),
    ("UNKNOWN_INSTRUMENT", "package"),
    ("HOURS_IGNORED", "flag"),
    ("PERIODS_IGNORED", "flag"),
    ("PERIOD_GAP", "flag"),
    ("UNKNOWN_SOURCE", "package"),
    ("FACTOR_CONFLICT", "package"),
    ("COVERAGE_CONFLICT", "package"),
}
# Every (code, severity) that section 7 knows.
CODES = (
    {(code, "package") for code in PACKAGE_CODES}
    | {(code, "row") for code in ROW_CODES}
    | {(code, "flag") for code in FLAG_CODES}
)
