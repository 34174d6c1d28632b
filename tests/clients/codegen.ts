// The typed client that a front-end team would generate; `npm run codegen` writes it to generated/.
import type { CodegenConfig } from '@graphql-codegen/cli';

const config: CodegenConfig = {
  schema: 'generated/schema.graphql',
  documents: 'documents/*.graphql',
  generates: {
    'generated/client/': {
      preset: 'client',
      config: {
        strictScalars: true,
        useTypeImports: true,
        enumsAsTypes: true,
        // What our scalars are on the wire.
        scalars: { BigInt: 'string', Date: 'string', DateTime: 'string', Month: 'string' },
      },
    },
  },
};

export default config;
