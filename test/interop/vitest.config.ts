import { defineConfig } from 'vitest/config';

const conditions = ['@dynamo/source', 'node'];
export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ['test/interop/**/*.test.ts'],
    setupFiles: ['test/interop/expected-failures.ts'],
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Real peers are processes that start and stop: a machine that is busy with other things may be late once, not twice.
    retry: 1,
  },
});
