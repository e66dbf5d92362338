import { defineConfig } from 'vitest/config';

const conditions = ['@dynamo/source', 'node'];
export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ['packages/*/src/**/*.test.ts', 'tools/*/src/**/*.test.ts', 'examples/**/*.test.ts', 'test/e2e/**/*.test.ts'],
    // Many tests start real servers and processes: a machine that is busy with other things may be late once, not twice.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    retry: 1,
  },
});
