import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { imports, violations } from './boundaries.ts';

const made: string[] = [];
afterEach(() => {
  for (const folder of made.splice(0)) rmSync(folder, { recursive: true });
});

/** A tree of files; packages without a manifest get an empty one. */
function tree(files: Record<string, string | object>): string {
  const root = mkdtempSync(join(tmpdir(), 'boundaries-'));
  made.push(root);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return root;
}

test('this repository is in order', () => {
  expect(violations(join(import.meta.dirname, '..', '..', '..'))).toEqual([]);
});

test('an arrow that points up is found, in every kind of dependency', () => {
  const root = tree({
    'packages/runtime/package.json': { name: '@dynamo/runtime', dependencies: { '@dynamo/metrics': '1', '@dynamo/llm': '1' } },
    'packages/llm/package.json': {
      name: '@dynamo/llm',
      devDependencies: { '@dynamo/internal': '1' },
      peerDependencies: { '@dynamo/multimodal': '1' },
    },
    'packages/newcomer/package.json': { name: '@dynamo/newcomer' },
    'tools/cli/package.json': { name: '@dynamo/cli', dependencies: { '@dynamo/internal': '1', '@dynamo/mocker': '1' } },
    'examples/a/package.json': { name: 'a', dependencies: { '@dynamo/llm': '1', '@dynamo/cli': '1' } },
    'package.json': { name: 'root', dependencies: { undici: '1' } },
  });
  expect(violations(root).toSorted()).toEqual(
    [
      'examples/a may not depend on @dynamo/cli',
      'packages/llm may not depend on @dynamo/internal',
      'packages/newcomer: the package has no line in tools/boundaries/src/rules.ts',
      "package.json: 'undici' would be visible to every package; the root holds only tools",
      'packages/runtime may not depend on @dynamo/llm',
    ].toSorted(),
  );
});

test('a library outside its folder, plumbing in an example and an undeclared import are found', () => {
  const root = tree({
    'packages/llm/package.json': { name: '@dynamo/llm', dependencies: { fastify: '5', 'prom-client': '15' }, devDependencies: { openai: '7' } },
    'packages/llm/src/http/server.ts': "import { fastify } from 'fastify';\nimport { x } from '../llm.ts';",
    'packages/llm/src/llm.ts': "export const open = () => import('fastify');\nimport { Counter } from 'prom-client';",
    'packages/llm/src/client.ts': "import OpenAI from 'openai';",
    'packages/llm/src/client.test.ts': "import OpenAI from 'openai';",
    'packages/llm/src/parsers/a.ts': "export { b } from '../discovery/b.ts';\nimport '../../../runtime/src/index.ts';",
    'packages/llm/node_modules/x/index.ts': "import 'zeromq';",
    'examples/a/package.json': { name: 'a' },
    'examples/a/main.ts': "import {\n  pipe,\n} from '@dynamo/runtime/internal';\nimport { Namespace } from '@dynamo/internal';",
  });
  expect(violations(root).toSorted()).toEqual(
    [
      "examples/a/main.ts: '@dynamo/runtime/internal' is plumbing; examples use the doors for users",
      "packages/llm/src/client.ts: 'openai' is not among the dependencies of its package",
      "packages/llm/src/llm.ts: 'fastify' may only be imported from ^(llm|kv-router)\\/src\\/http\\/",
      "packages/llm/src/llm.ts: 'prom-client' may only be imported from ^metrics\\/src\\/",
      "packages/llm/src/parsers/a.ts: '../../../runtime/src/index.ts' leaves its package",
      "packages/llm/src/parsers/a.ts: '../discovery/b.ts' crosses from parsers to discovery",
    ].toSorted(),
  );
});

test('imports are read from code, not from comments or strings', () => {
  const text = [
    '/** @example\n * import { a } from "comment";\n */',
    "// import 'line';",
    "import type { A } from 'type';",
    "export * from 'star';",
    "const text = `import { b } from 'template'`;",
    "await import('dynamic');",
    "import {\n  a,\n  b,\n} from './many.ts';",
  ].join('\n');
  expect(imports(text)).toEqual(['type', 'star', 'dynamic', './many.ts']);
});
