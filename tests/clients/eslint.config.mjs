// Lints the committed schema, and the documents of the clients against it.
import graphql from '@graphql-eslint/eslint-plugin';

const schema = 'generated/schema.graphql'; // a copy: ESLint reads nothing above its own folder
const languageOptions = { parser: graphql.parser, parserOptions: { graphQLConfig: { schema, documents: 'documents/*.graphql' } } };
const plugins = { '@graphql-eslint': graphql };

export default [
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  {
    files: ['**/schema.graphql'],
    plugins,
    languageOptions,
    rules: {
      ...graphql.configs['flat/schema-recommended'].rules,
      ...graphql.configs['flat/schema-relay'].rules,
      // Off: the schema is sorted by a program, letter by letter (`export_schema`); the rule takes `S` and `_` for later letters.
      '@graphql-eslint/alphabetize': 'off',
      '@graphql-eslint/description-style': 'error',
      // Off: it takes `accounts` of an Account and `grantedAt` of a Grant, which are words of their own, for prefixes.
      '@graphql-eslint/no-typename-prefix': 'off',
      // Off: the page of the cube and of dimension values stands in their `input`, where the rule does not look.
      '@graphql-eslint/relay-arguments': 'off',
      // Off: sums, spans of time and rows have no identity; whatever has one is a Node and has `id` by that interface.
      '@graphql-eslint/strict-id-in-types': 'off',
      '@graphql-eslint/relay-edge-types': [
        'error',
        {
          withEdgeSuffix: true,
          shouldImplementNode: false, // rows of a breakdown are values
          listTypeCanWrapOnlyEdgeType: false, // short complete lists (months, scopes, roles) are plain lists
        },
      ],
    },
  },
  {
    files: ['documents/*.graphql'],
    plugins,
    languageOptions,
    rules: {
      ...graphql.configs['flat/operations-recommended'].rules,
      '@graphql-eslint/no-deprecated': 'error',
    },
  },
];
