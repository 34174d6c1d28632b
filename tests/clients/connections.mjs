// Walks connections of the API in every legal way, beside what the library graphql-relay makes of the same list.
// Prints one JSON line for each list: how many pages were compared, and where the two differ.
import { connectionFromArray } from 'graphql-relay';

import { fetchWithToken, url } from './server.mjs';

const PERIOD = '{from: "2025-01", until: "2025-05"}';
const NORTH = 'hierarchyNode(by: {kind: RESOURCE_DIRECTORY, provider: "p", externalId: "north"})';
// `$page` stands for the arguments of the page, `$connection` for what is asked of it.
const LISTS = {
  children: `{ ${NORTH} { list: children(period: ${PERIOD}, $page) { edges { cursor node { id } } $info } } }`,
  'children by name': `{ ${NORTH} { list: children(period: ${PERIOD}, orderBy: NAME_ASC, $page) { edges { cursor node { id } } $info } } }`,
  services: `{ ${NORTH} { emissions(period: ${PERIOD}) { list: byService($page) { edges { cursor node { service { code } } } $info } } } }`,
  accounts: `{ ${NORTH} { emissions(period: ${PERIOD}) { list: byAccount($page) { edges { cursor node { id } } $info } } } }`,
  search: '{ list: search(text: "Account", $page) { edges { cursor node { id } } $info } }',
  runs: '{ list: allocationRuns($page) { edges { cursor node { id } } $info } }',
};
const INFO = 'pageInfo { hasNextPage hasPreviousPage startCursor endCursor }';

async function ask(query) {
  const body = JSON.stringify({ query });
  const answer = await fetchWithToken(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  return answer.json();
}

function listIn(data) {
  return data.list ?? listIn(Object.values(data)[0]);
}

async function page(template, given) {
  const { data, errors } = await ask(template.replace('$page', given).replace('$info', INFO));
  if (errors) throw new Error(JSON.stringify(errors));
  return listIn(data);
}

function compare(ours, theirs, after) {
  const nodes = (connection) => JSON.stringify(connection.edges.map((edge) => edge.node));
  const { pageInfo } = ours;
  const differences = [];
  if (nodes(ours) !== nodes(theirs)) differences.push('edges');
  if (pageInfo.hasNextPage !== theirs.pageInfo.hasNextPage) differences.push('hasNextPage');
  // Walking forwards the library always says false; the specification lets a server tell what lies before `after`.
  if (pageInfo.hasPreviousPage !== (after !== null)) differences.push('hasPreviousPage');
  for (const [name, edge] of [['startCursor', ours.edges.at(0)], ['endCursor', ours.edges.at(-1)]]) {
    if (pageInfo[name] !== (edge?.cursor ?? null)) differences.push(name);
    if ((pageInfo[name] === null) !== (theirs.pageInfo[name] === null)) differences.push(`${name} of nothing`);
  }
  return differences;
}

for (const [name, template] of Object.entries(LISTS)) {
  const whole = await page(template, 'first: 100');
  const nodes = whole.edges.map((edge) => edge.node);
  const theirs = connectionFromArray(nodes, { first: 100 });
  const differences = [];
  let pages = 0;
  for (let first = 1; first <= nodes.length + 1; first += 1) {
    for (let at = -1; at < nodes.length; at += 1) {
      const [mine, library] = at < 0 ? [null, null] : [whole.edges[at].cursor, theirs.edges[at].cursor];
      const ours = await page(template, `first: ${first}${mine === null ? '' : `, after: "${mine}"`}`);
      const found = compare(ours, connectionFromArray(nodes, { first, after: library }), mine);
      if (found.length > 0) differences.push({ first, at, found });
      pages += 1;
    }
  }
  const illegal = [];
  for (const given of ['first: 0', 'first: -1', 'first: 101', 'first: 1, after: "junk"', `after: "${theirs.edges[0].cursor}"`]) {
    const { errors } = await ask(template.replace('$page', given).replace('$info', INFO));
    illegal.push(errors?.[0]?.extensions?.code ?? 'none');
  }
  console.log(JSON.stringify({ name, nodes: nodes.length, pages, differences, illegal }));
}
