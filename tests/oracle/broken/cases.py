"""One small package for every code of package-format section 7, with its exact findings.

Each case changes a package without findings in one way. `CASES` is meant for parametrisation:
`case.write(folder)` writes the package (and its history) and returns the paths; `case.findings` is
the set of findings that it must give.
"""

from tests.oracle.broken.case import Broken
from tests.oracle.broken.cells import cell_cases, header_cases
from tests.oracle.broken.coverage import coverage_cases
from tests.oracle.broken.documents import document_cases
from tests.oracle.broken.energy import energy_cases
from tests.oracle.broken.flags import flag_cases
from tests.oracle.broken.hours import hour_cases
from tests.oracle.broken.options import option_cases
from tests.oracle.broken.periods import period_cases
from tests.oracle.broken.references import reference_cases
from tests.oracle.broken.services import cross_cases
from tests.oracle.broken.uncertainties import uncertainty_cases
from tests.oracle.broken.usage import usage_cases

CASES: list[Broken] = [
    case
    for cases in (
        document_cases,
        option_cases,
        header_cases,
        cell_cases,
        reference_cases,
        energy_cases,
        usage_cases,
        flag_cases,
        hour_cases,
        period_cases,
        cross_cases,
        uncertainty_cases,
        coverage_cases,
    )
    for case in cases()
]
