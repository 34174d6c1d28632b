"""The rows of the matrix: for every field that tells something, a question that reaches it.

A question about a node is the selection below `hierarchyNode`; the others are whole documents. Which fields a question
reaches is read from its text, so a row cannot claim a field that it does not ask for.
"""

from __future__ import annotations

MASS = "{ kgCO2e microgramsCO2e }"
NUMBERS = f"""{{ status kgCO2e microgramsCO2e electricityKwh electricityWattHours estimatedShare intensityGramsPerKwh
  scope1 {MASS} scope2LocationBased {MASS} scope2MarketBased {MASS} scope3 {MASS} }}"""
PAGE = "pageInfo { hasNextPage }"


STATED = "verificationStatements { verifier months leftBehind }"


def _summary(fields: str) -> str:
    return f"emissions(period: $period) {{ {fields} }}"


def _listed(field: str, row: str) -> str:
    return f"{field} {{ {PAGE} edges {{ {row} }} }}"


_POINT = f"{{ emissions {NUMBERS} }}"
_NODE_ROW = f"node {{ id }} emissions {NUMBERS}"
_STAND = f"{{ counted {MASS} path {MASS} emissions {NUMBERS} intensityGramsPerKwh pathGramsPerKwh pathPercent }}"
OF_A_NODE = {
    "its total": _summary(f"complete omissions {{ reason months accounts }} total {NUMBERS}"),
    "its total as of a date": f'emissions(period: $period, asOf: "2026-05-20T12:00:00Z") {{ total {NUMBERS} }}',
    "its history": _summary(f"byMonth {_POINT} byQuarter {_POINT} byYear {_POINT}"),
    "its change": _summary(f"comparedWith(period: PREVIOUS_PERIOD) {{ ratio before {NUMBERS} difference {MASS} }}"),
    "its method": _summary(f"methodologyVersions {{ months options {{ name }} {STATED} }}"),
    "what was verified": _summary(STATED),
    "by service": _summary(_listed("byService(first: 15)", f"node {{ service {{ code }} emissions {NUMBERS} }}")),
    "by place": _summary(_listed("byLocation(first: 15)", f"node {{ location {{ code }} emissions {NUMBERS} }}")),
    "by scope": _summary(f"byScope {{ mass {MASS} }}"),
    "by account": _summary(_listed("byAccount(first: 15)", _NODE_ROW)),
    "by group": _summary(_listed("byAccountGroup(first: 15)", _NODE_ROW)),
    "by resource group": _summary(_listed("byResourceGroup(first: 15)", _NODE_ROW)),
    "its children": f"children(period: $period, first: 15) {{ totalCount {PAGE} edges {{ {_NODE_ROW} }} }}",
    "its targets": f"""emissions(period: $period) {{ complete }}
      targets {{ id baseYear targetYear fiscalYearStart reductionPercent scopes base {NUMBERS} latest {_STAND} }}""",
    "its targets by year": f"emissions(period: $period) {{ complete }} targets {{ years {_STAND} }}",
    "its resource groups": f"... on Account {{ {_listed('resourceGroups(period: $period, first: 15)', _NODE_ROW)} }}",
    "its accounts": _listed("accounts(period: $period, first: 15)", _NODE_ROW),
}

WAY = """query($id: ID!, $period: PeriodInput!) {
  hierarchyNode(id: $id) { id path { id name } emissions(period: $period) { complete } } }"""
ADMINISTRATION = f"""query($id: ID!) {{ hierarchyNode(id: $id) {{
  grants {{ {PAGE} edges {{ node {{ role username }} }} }}
  audit {{ {PAGE} edges {{ node {{ action details {{ name value }} }} }} }} }} }}"""
ME = "{ viewer { isOperator scopes roles { role why node { id } } } }"
BY_ID = "query($id: ID!) { node(id: $id) { id } }"
BY_CODE = """query($kind: NodeKind!, $code: String!, $provider: String!) {
  hierarchyNode(by: {kind: $kind, externalId: $code, provider: $provider}) { id } }"""
FOUND = f"query($text: String!) {{ search(text: $text) {{ {PAGE} edges {{ node {{ id }} }} }} }}"
CUBE = f"""query($ids: [ID!]!, $period: PeriodInput!) {{
  emissions(input: {{nodes: $ids, period: $period, groupBy: [ACCOUNT], granularity: MONTH, first: 100}}) {{
    nodes {{ nodeId decision omissions {{ reason months accounts }} total {NUMBERS} }}
    rows {{ pageLimit {PAGE} edges {{ node {{
      nodeId span {{ month }} values {{ nodeId }} emissions {NUMBERS} }} }} }} }} }}"""
VALUES = f"""query($ids: [ID!]!, $period: PeriodInput!) {{
  dimensionValues(input: {{nodes: $ids, period: $period, dimension: ACCOUNT}}) {{
    {PAGE} edges {{ node {{ nodeId name }} }} }} }}"""
RUNS = f"""{{ allocationRuns {{ {PAGE} edges {{ node {{ id details {{
  attempt findings ledgerRows packageNumber percent requestedBy
  transitions {{ attempt durationMs rows }} }} }} }} }} }}"""
RESTATED = f"""query($id: ID!) {{ restatements {{ {PAGE} edges {{ node {{ id change(nodeId: $id) {{
  before {NUMBERS} after {NUMBERS} }}
  leaves(nodeId: $id) {{ {PAGE} edges {{ node {{ account lines {{ before after difference }} }} }} }} }} }} }} }}"""
PROPOSED = f"""{{ restatementProposals {{ {PAGE} edges {{ node {{
  id largestDifferencePercent }} }} }} }}"""
METHODS = f"{{ methodologies {{ {PAGE} edges {{ node {{ name months options {{ name }} }} }} }} }}"
COVERED = """query($period: PeriodInput!) { coverage(input: {period: $period}) {
  providers { provider releaseDay releaseLagMonths months { month status estimatedShare } services {
    code notCoveredIn thresholdKg } } } }"""

EXPLAINED = """query($id: ID!, $month: Month!) {
  explain(input: {nodeId: $id, month: $month, service: "compute", cluster: "one"}) {
    inputsLeftOut options { name } redactions { field }
    inputs { file row quantity }
    lines { amount estimated source leavesLeftOut leaves { amount extraUnit } factors { value }
      postings { amount rows { row } }
      steps { from { code } to { code } members rows { row } } } } }"""
FACTORS = f"{{ emissionFactors {{ {PAGE} edges {{ node {{ value }} }} }} }}"
_EXPORT = """id node { id } filesAll filesWritten percent rows sizeBytes
  files(first: 10) { edges { node { rows sizeBytes link { url } } } }"""
EXPORTS = f"""{{ exports {{ {PAGE} edges {{ node {{ {_EXPORT} }} }} }}
  exportSchedules {{ {PAGE} edges {{ node {{ id node {{ id }} latestExport {{ id }} }} }} }} }}"""
EXPORT_BY_ID = f"query($id: ID!) {{ node(id: $id) {{ id ... on Export {{ {_EXPORT} }} }} }}"
PLACES = f"""query($period: PeriodInput!) {{
  locations(input: {{period: $period}}) {{ {PAGE} edges {{ node {{ code months {{
    locationGramsPerKwh marketGramsPerKwh pue cleanShare }} }} }} }}
  serviceIntensities(input: {{period: $period}}) {{ {PAGE} edges {{ node {{
    service gramsPerUnit wattHoursPerUnit }} }} }} }}"""
ADVICE = f"""query($id: ID!, $period: PeriodInput!) {{
  recommendations(input: {{node: $id, period: $period}}) {{
    key emitted {MASS} affected {MASS} fromGramsPerUnit toGramsPerUnit }}
  whatIf(input: {{node: $id, period: $period, changes: [
      {{provider: "cloud", service: "compute", fromLocation: "a", toLocation: "b"}}]}}) {{
    before {NUMBERS} after {MASS} difference {MASS} ratio assumptions omissions {{ accounts months }}
    changes {{ share months monthsLeftOut before {MASS} after {MASS} }} }} }}"""

DOCUMENTS = {
    "the way to it": WAY,
    "its administration": ADMINISTRATION,
    "who am I": ME,
    "a node by id": BY_ID,
    "a node by the provider's id": BY_CODE,
    "what is found": FOUND,
    "the cube": CUBE,
    "values of a dimension": VALUES,
    "runs": RUNS,
    "restatements": RESTATED,
    "methods": METHODS,
    "coverage": COVERED,
    "proposals": PROPOSED,
    "explain": EXPLAINED,
    "factors": FACTORS,
    "places": PLACES,
    "advice": ADVICE,
    "exports": EXPORTS,
    "an export by id": EXPORT_BY_ID,
}

_ERRORS = "... on PermissionDenied { code } ... on NotFound { code }"
# Each mutation with the input that an intruder would send; `$node`, `$group`, ... are global ids.
MUTATIONS = {
    "grantRole": 'input: {nodeId: $group, role: VIEWER, username: "nobody"}',
    "revokeRole": 'input: {nodeId: $group, role: VIEWER, username: "nobody"}',
    "delegateAdministrator": "input: {directoryId: $directory, accountId: $account}",
    "revokeDelegation": "input: {delegationId: $delegation}",
    "setMultiAccountManagement": "input: {directoryId: $directory, enabled: false}",
    "createAccountGroup": 'input: {parentId: $group, externalId: "intruder", name: "x", month: "2026-09"}',
    "renameAccountGroup": 'input: {groupId: $group, name: "intruder"}',
    "closeAccountGroup": 'input: {groupId: $group, month: "2026-09"}',
    "moveAccounts": 'input: {accountIds: [$account], parentId: $group, month: "2026-09"}',
    "moveAccountGroup": 'input: {groupId: $group, parentId: $directory, month: "2026-09"}',
    "requestAllocation": 'input: {provider: "cloud", month: "2026-03"}',
    "publishRun": "input: {runId: $run}",
    "cancelRun": "input: {runId: $run}",
    "withdrawRun": 'input: {runId: $run, reason: "x"}',
    "lockMonth": 'input: {provider: "cloud", month: "2026-03"}',
    "restateMonth": 'input: {runId: $run, cause: DATA, reason: "x"}',
    "approveRestatement": "input: {proposalId: $proposal}",
    "rejectRestatement": 'input: {proposalId: $proposal, reason: "x"}',
    "recordVerificationStatement": """input: {provider: "cloud", period: {from: "2026-03", until: "2026-04"},
        verifier: "x", standard: "x", level: LIMITED, scope: "x", documentUrl: "https://x.example/",
        issuedOn: "2026-01-01"}""",
    "setTarget": 'input: {nodeId: $group, name: "x", baseYear: 2025, targetYear: 2030, reductionPercent: 50}',
    "endTarget": "input: {targetId: $target}",
    "dismissRecommendation": 'input: {nodeId: $account, key: "x"}',
    "cancelExport": "input: {exportId: $export}",
    "requestExport": 'input: {nodeId: $account, period: {from: "2026-01", until: "2026-06"}}',
    "scheduleExport": "input: {nodeId: $account}",
}
# What everybody may do who may know the node: what it leads to is judged by itself.
OPEN = frozenset({"dismissRecommendation", "requestExport", "scheduleExport"})
OPERATIONS = frozenset(
    {
        "requestAllocation",
        "cancelRun",
        "publishRun",
        "withdrawRun",
        "lockMonth",
        "restateMonth",
        "approveRestatement",
        "rejectRestatement",
        "recordVerificationStatement",
    }
)


def of_nodes(selection: str, count: int) -> str:
    """A document that asks the question of so many nodes at once."""
    names = ", ".join(f"$i{number}: ID!" for number in range(count))
    fields = " ".join(f"n{number}: hierarchyNode(id: $i{number}) {{ {selection} }}" for number in range(count))
    return f"query({names}, $period: PeriodInput!) {{ {fields} }}"


def mutation(name: str) -> str:
    """The document of a mutation; only the variables that its input names are declared."""
    given = MUTATIONS[name]
    used = [
        variable
        for variable in ("group", "directory", "account", "delegation", "run", "export", "target", "proposal")
        if f"${variable}" in given
    ]
    declared = f"({', '.join(f'${variable}: ID!' for variable in used)})" if used else ""
    return f"mutation{declared} {{ {name}({given}) {{ __typename {_ERRORS} }} }}"
