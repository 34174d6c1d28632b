// Where the API is and who asks: the tests of this folder start a server and say so in the environment.

function variable(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; run \`make clients\``);
  return value;
}

export const url = variable('CANOPY_URL');
const authorization = `Bearer ${variable('CANOPY_TOKEN')}`;

/** `fetch` with the bearer token on every request. */
export function fetchWithToken(address, options = {}) {
  const headers = new Headers(options.headers);
  headers.set('authorization', authorization);
  return fetch(address, { ...options, headers });
}
