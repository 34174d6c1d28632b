// What a dashboard does with urql: who am I, what is mine, its children page by page, and their emissions.
// Prints one JSON object; the Python test compares it with its oracle.
import { Client, fetchExchange } from '@urql/core';
import { readFileSync } from 'node:fs';

import { fetchWithToken, url } from './server.mjs';

const [from, until, pageSize] = process.argv.slice(2);
const period = { from, until };
const client = new Client({ url, fetch: fetchWithToken, exchanges: [fetchExchange], preferGetMethod: false });

function document(name) {
  return readFileSync(new URL(`documents/${name}.graphql`, import.meta.url), 'utf8');
}

async function ask(name, variables) {
  const { data, error } = await client.query(document(name), variables).toPromise();
  if (error) throw error;
  return data;
}

async function childrenOf(id) {
  const found = [];
  let pages = 0;
  let after = null;
  do {
    const { node } = await ask('Children', { id, period, first: Number(pageSize), after });
    pages += 1;
    found.push(...node.children.edges);
    after = node.children.pageInfo.hasNextPage ? node.children.pageInfo.endCursor : null;
  } while (after !== null);
  return { pages, found };
}

const { viewer } = await ask('Viewer', {});
const [{ node }] = viewer.roles;
const { pages, found } = await childrenOf(node.id);
const { hierarchyNode } = await ask('Emissions', { id: node.id, period });
const refused = await client.query('{ viewer { nothing } }', {}).toPromise();
console.log(
  JSON.stringify({
    username: viewer.username,
    node: node.name,
    pages,
    children: found.map((edge) => ({
      name: edge.node.name,
      ug: edge.emissions.microgramsCO2e,
      status: edge.emissions.status,
    })),
    emissions: hierarchyNode.emissions,
    refused: refused.error.graphQLErrors.map((error) => error.extensions.code),
  }),
);
