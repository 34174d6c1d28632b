// Prints the result of every GraphQL-over-HTTP audit as one JSON line: id, name, status, reason.
import { serverAudits } from 'graphql-http';

import { fetchWithToken, url } from './server.mjs';

for (const audit of serverAudits({ url, fetchFn: fetchWithToken })) {
  const { id, name, status, reason } = await audit.fn();
  console.log(JSON.stringify({ id, name, status, reason }));
}
