// What GraphQL Inspector says: are the documents valid and free of what is deprecated, and is a change of the schema breaking?
// Prints one JSON object.
import { CriticalityLevel, diff, validate } from '@graphql-inspector/core';
import { buildSchema, Source } from 'graphql';
import { readdirSync, readFileSync } from 'node:fs';

const text = readFileSync('generated/schema.graphql', 'utf8');
const schema = buildSchema(text);
const documents = readdirSync('documents').map((name) => new Source(readFileSync(`documents/${name}`, 'utf8'), name));
const invalid = validate(schema, documents, { strictDeprecated: true }).map((each) => each.errors.map(String));
const changed = (from, to) => buildSchema(text.replace(from, to));

async function breaking(other) {
  const changes = await diff(schema, other);
  return changes.filter((each) => each.criticality.level === CriticalityLevel.Breaking).map((each) => each.type);
}

console.log(
  JSON.stringify({
    documents: documents.length,
    invalid,
    same: await breaking(buildSchema(text)),
    removed: await breaking(changed(/\n {2}kgCO2e\(/, '\n  kilograms(')),
    added: await breaking(changed('type Viewer {', 'type Viewer {\n  """Added."""\n  added: Int\n')),
  }),
);
