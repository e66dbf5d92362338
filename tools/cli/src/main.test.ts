import { createServer, type AddressInfo } from 'node:net';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { dynamo } from './testing/command.ts';
import { version } from './version.ts';

describe('help and version', () => {
  test.each([
    [['--help'], 'Usage: dynamo'],
    [['serve', '--help'], '--http-port <port>'],
    [['frontend', '--help'], 'DYN_HTTP_PORT; default 8000'],
    [['worker', '--help'], '--model-path <folder>'],
    [['help', 'worker'], '--engine <word>'],
    [['--version'], version],
  ])('%o goes to stdout and exits with 0', async (args, part) => {
    const { code, stdout, stderr } = await dynamo(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(part);
  });

  test('help does no I/O: it loads the parser and the flag table alone, and may neither write nor start anything', async () => {
    const listLoads = `data:text/javascript,${encodeURIComponent(
      `import { registerHooks } from 'node:module';
       registerHooks({ load(url, context, next) { process._rawDebug(url); return next(url, context); } });`,
    )}`;
    const bad = { DYN_HTTP_PORT: 'not a port', DYN_DISCOVERY_BACKEND: 'nowhere' };
    const { code, stderr } = await dynamo(['serve', '--help'], { env: bad, node: ['--permission', '--allow-fs-read=*', '--import', listLoads] });
    expect(code).toBe(0);
    const loaded = stderr.split('\n').filter((line) => /^(file|node):/.test(line));
    expect(loaded.map((url) => url.replace(/.*\/tools\/cli\/src\//, 'src/'))).toContain('src/flags.ts');
    expect(loaded.filter((url) => /\/packages\/|src\/commands\/|src\/serve\/|src\/engines\/(?!names)/.test(url))).toEqual([]);
    expect(loaded.filter((url) => /^node:(net|http|dns|worker_threads)/.test(url))).toEqual([]);
  });
});

describe('what can not be used ends in one line and exit code 2', () => {
  test.each([
    [
      ['fly'],
      {},
      "unknown command 'fly'; there are serve, run, frontend, worker, router, slot-tracker, indexer, select-service, what-if, mocker, planner, replay, keys",
    ],
    [['frontend', '--http-prot', '1'], {}, "unknown option '--http-prot' (Did you mean --http-port?)"],
    [['frontend', 'please'], {}, "too many arguments for 'frontend'. Expected 0 arguments but got 1: please."],
    [['frontend', '--http-port'], {}, "option '--http-port <port>' argument missing"],
    [['frontend', '--http-port', 'x'], {}, "--http-port 'x': expected a whole number from 0 to 65535"],
    [['frontend', '--router-temperature', '-0.5'], {}, 'router_temperature must be finite and non-negative'],
    [['frontend', '--use-remote-indexer'], {}, '--use-remote-indexer is not available in this version'],
    [['frontend', '--no-serve-indexer'], {}, '--no-serve-indexer is not available in this version'],
    [['router'], {}, 'endpoint is required (set --endpoint or DYN_ROUTER_ENDPOINT)'],
    [['router', 'what-if'], {}, 'the recording is missing: dynamo router what-if FILE'],
    [['router', 'what-if', '/nowhere/router.jsonl'], {}, '/nowhere/router.jsonl does not exist'],
    [['router', '--endpoint', 'a.b'], {}, "--endpoint 'a.b': expected namespace.component.endpoint, each of letters, digits, '-' and '_'"],
    [['frontend', '--tls-cert-path', '/c'], {}, '--tls-cert-path and --tls-key-path must be provided together'],
    [['frontend', '--api-keys-path', '/nowhere/keys'], {}, 'API keys not found: /nowhere/keys'],
    [['worker', '--model-path', '/nowhere/at-all'], {}, "model folder '/nowhere/at-all' does not exist"],
    [['serve', '--model-path', '/nowhere/at-all'], {}, "model folder '/nowhere/at-all' does not exist"],
    [['frontend', '--model-path', '/nowhere/at-all'], {}, "model folder '/nowhere/at-all' does not exist"],
    [['frontend', '--responses-store', 'file'], {}, '--responses-store file needs the folder to keep them in: --responses-folder'],
    [['worker', '--upstream', 'http://a:1'], {}, "--upstream 'http://a:1' needs --engine openai, not echo"],
    [['run', '--in', 'batch:/nowhere/x'], {}, "batch '/nowhere/x' can't be read: ENOENT: no such file or directory, access '/nowhere/x'"],
  ] as const)('%o with %o', async (args, env, line) => {
    // A machine short of watches tells so in a line of the log, which is none of the command's.
    expect(await dynamo(args, { env: { DYN_LOG: 'error', ...env } })).toEqual({ code: 2, stdout: '', stderr: `dynamo: ${line}\n` });
  });

  test('a model folder without its files', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'dynamo-cli-'));
    try {
      await writeFile(join(folder, 'config.json'), '{}');
      expect(await dynamo(['worker', '--model-path', folder])).toEqual({
        code: 2,
        stdout: '',
        stderr: `dynamo: model folder '${folder}' has no tokenizer.json\n`,
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test.each(['serve', 'frontend'])('%s on a port in use', async (command) => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const root = await mkdtemp(join(tmpdir(), 'dynamo-cli-'));
    try {
      const { port } = server.address() as AddressInfo;
      const args = [command, '--http-host', '127.0.0.1', '--http-port', String(port)];
      expect(await dynamo(args, { env: { DYN_FILE_KV: root, DYN_LOG: 'error' } })).toEqual({
        code: 2,
        stdout: '',
        stderr: `dynamo: port ${port} on 127.0.0.1 is in use\n`,
      });
    } finally {
      server.close();
      await rm(root, { recursive: true });
    }
  });
});
