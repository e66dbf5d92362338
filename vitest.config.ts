import { defineConfig } from 'vitest/config';

const conditions = ['@dynamo/source', 'node'];
export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ['packages/*/src/**/*.test.ts', 'tools/*/src/**/*.test.ts', 'examples/**/*.test.ts', 'test/e2e/**/*.test.ts'],
    testTimeout: 20_000,
  },
});
