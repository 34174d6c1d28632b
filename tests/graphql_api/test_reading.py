from __future__ import annotations
from graphql_api.types.nodes import id_of
from allocation.policies import Kind, NodeKey
from tests.graphql_api.ask import ask, signed_in
from tests.read_model.world import World

Q = """query($id: ID!, $period: PeriodInput!) { hierarchyNode(id: $id) { id kind name externalId access path { name kind hasRole }
 children(period: $period, first: 10) { totalCount edges { cursor node { kind name access } emissions { kgCO2e status microgramsCO2e } } pageInfo { hasNextPage endCursor } }
 emissions(period: $period) { complete omissions { reason months accounts } total { kgCO2e status scope1 { kgCO2e } electricityKwh intensityGramsPerKwh estimatedShare } byMonth { label complete emissions { kgCO2e status } } byQuarter { label complete }
  byScope { scope mass { kgCO2e } }
  byService { edges { node { service { code name category} emissions { kgCO2e status } } } }
  byLocation(level: COUNTRY) { edges { node { location { code name } emissions { kgCO2e } } } } } } }"""

def test_all(world: World):
    import json
    for who in ('owner','viewer-a','viewer-mover','viewer-team','operator','nobody'):
        c = signed_in(world, who)
        print(who, ask(c, "{ viewer { username isOperator roles { role why node { name kind } } } }"))
        for kind, code in ((Kind.ENTERPRISE_PARENT,'acme'),(Kind.RESOURCE_DIRECTORY,'north'),(Kind.ACCOUNT_GROUP,'a'),(Kind.ACCOUNT,'mover'),(Kind.MISCELLANEOUS,'north')):
            r = ask(c, Q, id=id_of(NodeKey(kind, world.made[code].pk)), period={'from':'2025-01','until':'2025-05'})
            print(who, code, json.dumps(r) if (who, code) in {('owner','north'),('viewer-a','acme'),('viewer-a','north'),('viewer-mover','north'),('viewer-mover','mover')} else json.dumps(r)[:300])
