// Uses the generated client as an app would: the compiler checks every name and every null.
import { Client, fetchExchange } from '@urql/core';

import { ChildrenDocument, EmissionsDocument, type ChildrenQuery, type DataStatus } from './generated/client/graphql';

const client = new Client({ url: 'https://canopy.example/graphql/', exchanges: [fetchExchange], preferGetMethod: false });

type Edge = NonNullable<ChildrenQuery['node']>['children']['edges'][number];

/** Exact micrograms, or why there are none. */
function told(edge: Edge): bigint | DataStatus {
  const { microgramsCO2e, status } = edge.emissions;
  return microgramsCO2e == null ? status : BigInt(microgramsCO2e);
}

/** The closing month of an account, null while it is open, undefined for what is no account. */
function closedFrom(edge: Edge): string | null | undefined {
  return edge.node.__typename === 'Account' ? edge.node.closedFrom : undefined;
}

export async function rows(id: string): Promise<[string, bigint | DataStatus, string | null | undefined][]> {
  const variables = { id, period: { from: '2025-01', until: '2025-07' }, first: 50 };
  const { data } = await client.query(ChildrenDocument, variables).toPromise();
  return (data?.node?.children.edges ?? []).map((edge) => [edge.node.name, told(edge), closedFrom(edge)]);
}

export async function complete(id: string): Promise<boolean | undefined> {
  // @ts-expect-error a period has an end
  await client.query(EmissionsDocument, { id, period: { from: '2025-01' } }).toPromise();
  const variables = { id, period: { from: '2025-01', until: '2025-07' } };
  const { data } = await client.query(EmissionsDocument, variables).toPromise();
  return data?.hierarchyNode?.emissions.complete;
}
