import { readFileSync } from 'node:fs';
import { defaultSettings, settingNames } from '@dynamo/kv-router/internal';
import { describe, expect, test } from 'vitest';
import { flags } from './flags.ts';
import { frontendOptions } from './frontend-options.ts';
import { isLater } from './later-flags.ts';
import { routerOptions } from './router-options.ts';
import { settle } from './settings.ts';
import { UsageError } from './usage.ts';

const help = readFileSync(new URL('../../../vectors/llm/http/frontend-help-1.6.1.txt', import.meta.url), 'utf8');
const body = help.slice(help.indexOf('Dynamo Frontend Options:'));

/** What the real help says of each flag: its variable and its default. */
const real = new Map<string, { env: string | undefined; fallback: string | undefined }>();
for (const entry of body.split(/\n(?= {2}-)/).slice(1)) {
  const [, env, fallback] = /env var: (\w+)(?: \| default: (.*))?/.exec(entry) ?? [];
  for (const [flag] of (entry.split('\n')[0] ?? '').matchAll(/--[a-z0-9-]+/g)) real.set(flag, { env, fallback });
}

describe('beside the real frontend', () => {
  test('its help is read as a whole', () => {
    expect(real.size).toBe(140);
  });

  test.each(
    // The services on their own have flags of the same name, which mean something else there.
    flags.flatMap((row) =>
      row.flag !== undefined && !row.option.startsWith('services.') && row.commands.some((name) => name !== 'worker') && real.has(row.flag)
        ? [{ ...row, name: row.flag }]
        : [],
    ),
  )('$name has the real variable and default', (row) => {
    expect(row.env).toBe(real.get(row.name)?.env);
    const departures: Record<string, string> = {
      // No server is needed to start; the help says so.
      '--discovery-backend': 'file',
      // The real None stands for zmq on every backend (spec runtime-wire 2).
      '--event-plane': 'zmq',
      // Its help tells of no default.
      '--interactive': 'false',
    };
    const expected =
      departures[row.name] ??
      real
        .get(row.name)
        ?.fallback?.replace(/^None$/, '')
        .replace(/^(True|False)$/, (word) => word.toLowerCase())
        .replace(/^(\d+)\.0$/, '$1');
    expect(String(row.fallback ?? '')).toBe(expected);
    if (row.name === '--discovery-backend') expect(row.help).toContain('The real default is etcd');
  });

  test.each([...real.keys()])('%s is known', (flag) => {
    const positive = flag.replace(/^--no-/, '--');
    const known = flags.some((row) => row.flag === positive || row.aliases?.some((alias) => alias === positive) === true);
    expect(known || isLater(flag)).toBe(true);
  });

  test('what comes later is not in the table, too', () => {
    expect(flags.filter((row) => row.flag !== undefined && isLater(row.flag))).toEqual([]);
  });
});

describe('routing', () => {
  test('defaults are those of the library, and each setting has the flag and variable that the library knows it by', () => {
    const { settings } = settle('frontend', {}, {}).router;
    const { conditionalPolicy: _p, conditionalIslThreshold: _t, conditionalIslRatio: _r, ...defaults } = defaultSettings;
    const { useRemoteIndexer: _u, serveIndexer: _s, sessionPrefixIndex: _i, sharedCacheType: _c, ...ours } = defaults;
    expect(settings).toEqual(ours);
    for (const row of flags.filter(({ option }) => option.startsWith('router.settings.'))) {
      const known = settingNames[row.option.replace('router.settings.', '') as keyof typeof settingNames];
      expect([row.flag, row.env]).toEqual([known.flag, known.env]);
    }
  });

  test('what the real router does not have reaches it too', () => {
    expect(routerOptions(settle('frontend', {}, {}))).toMatchObject({ trust: 'act' });
    const given = {
      '--router-trust': 'watch',
      '--router-route-header': true,
      '--router-warm-folder': '/snapshots',
      '--router-record': '/recordings/router.jsonl',
    };
    expect(routerOptions(settle('frontend', given, {}))).toMatchObject({
      trust: 'watch',
      routeHeader: true,
      warmStart: { peers: false, folder: '/snapshots' },
      record: { path: '/recordings/router.jsonl' },
    });
  });

  test('other options for recorded traffic are those that are named, and no variable counts', () => {
    const { settings } = settle('what-if', { '--router-temperature': '0' }, { DYN_ROUTER_PREFILL_LOAD_SCALE: '2' }).router;
    expect(settings).toEqual({ temperature: 0 });
  });

  test('flags reach the frontend, and the load-aware preset wins over them', () => {
    const given = {
      '--router-mode': 'kv',
      '--no-router-kv-events': undefined,
      '--router-kv-events': false,
      '--router-temperature': '0.5',
      '--router-session-affinity-ttl-secs': '60',
      '--active-decode-blocks-threshold': '0.9',
      '--active-prefill-tokens-threshold': 'None',
      '--router-conditional-disagg-config': '{"eff_isl_threshold": 7}',
    };
    expect(routerOptions(settle('frontend', given, {}))).toMatchObject({
      mode: 'kv',
      affinity: { ttlMs: 60_000, mode: 'hard' },
      overload: { decodeBlocks: 0.9 },
      settings: { kvEvents: false, temperature: 0.5, conditionalIslThreshold: 7 },
    });
    expect(routerOptions(settle('serve', { '--load-aware': true }, {}))).toMatchObject({
      mode: 'kv',
      settings: { overlapCredit: 0, kvEvents: false },
    });
    const bad = settle('frontend', { '--router-conditional-disagg-config': '{"odd": 7}' }, {});
    expect(() => routerOptions(bad)).toThrow('unknown conditional disaggregation setting odd');
  });
});

describe('settling', () => {
  test("the HTTP server's variables become its options", () => {
    const env = {
      DYN_HTTP_SVC_CHAT_PATH: '/talk',
      DYN_DISABLE_FRONTEND_ADMIN_API: '1',
      DYN_HTTP_SSE_KEEP_ALIVE_INTERVAL_MS: '250',
      DYN_ACTIVE_DECODE_BLOCKS_THRESHOLD: '0.5',
    };
    expect(frontendOptions(settle('frontend', { '--active-prefill-tokens-threshold': '100' }, env))).toMatchObject({
      http: { paths: { chat: '/talk' }, admin: false, keepAliveMs: 250 },
      router: { overload: { decodeBlocks: 0.5, prefillTokens: 100 } },
    });
    expect(() => settle('frontend', { '--active-decode-blocks-threshold': 'half' }, {})).toThrow(UsageError);
  });

  test('the table fills every member that has a default', () => {
    expect(settle('serve', {}, {})).toEqual({
      log: 'info',
      connect: { discovery: 'file', requestPlane: 'tcp', responsePlane: 'tcp', eventPlane: 'zmq' },
      frontend: {
        http: {
          host: '0.0.0.0',
          port: 8000,
          reasoningField: 'reasoning_content',
          dispatch: { calls: false, thoughts: false },
          messages: { enabled: false, stripPreamble: true },
          responses: { store: 'memory' },
        },
        router: { mode: 'round-robin' },
        migrationLimit: 0,
        interactive: false,
        kserve: false,
        grpcMetricsPort: 8788,
        bodyLimitMb: 45,
        admin: 'guarded',
        httpWorkers: 1,
        reusePort: false,
      },
      services: {
        host: '0.0.0.0',
        slotsPort: 8091,
        indexerPort: 8090,
        selectionPort: 8092,
        threads: 4,
        model: 'default',
        group: 'default',
        pendingTtlSeconds: 60,
        pendingMost: 65_536,
      },
      router: {
        settings: expect.objectContaining({ overlapCredit: 1, kvEvents: true, eventThreads: 4, queuePolicy: 'fcfs' }),
        beyond: { routeHeader: false, trust: 'act', warmPeers: false },
        loadAware: false,
        minWorkers: 0,
        affinity: { mode: 'hard' },
        serviceBlockSize: 128,
      },
      upstream: { probeSeconds: 2, idleSeconds: 120 },
      worker: { delayMs: 20, graceSeconds: 1 },
      workers: 2,
      run: { concurrency: 16, resume: true },
      mocker: {
        backend: 'vllm',
        cacheType: 'auto',
        chunkedPrefill: true,
        decodeSpeedup: 1,
        isDecode: false,
        isPrefill: false,
        maxBatchedTokens: 8192,
        maxSequences: 256,
        preemption: 'lifo',
        prefixCaching: true,
        readable: false,
        speedup: 1,
        staggerSeconds: 0,
        workers: 1,
      },
      planner: {
        mode: 'disagg',
        target: 'throughput',
        environment: 'local',
        advisory: false,
        minEndpoint: 1,
        maxGpus: 8,
        minGpus: -1,
        prefillGpus: 1,
        decodeGpus: 1,
        loadSeconds: 5,
        throughputSeconds: 180,
        mostStep: 8,
        ttftMs: 500,
        itlMs: 50,
        predictor: 'kalman',
        logarithmic: false,
        kalman: { levelNoise: 1, trendNoise: 0.1, measurementNoise: 10, minPoints: 5 },
        seed: 1,
        drainSeconds: 60,
      },
      replay: { format: 'table', perRequest: false, placement: 'round-robin', rankBy: 'mean_ttft_ms', traceBlockSize: 512 },
    });
  });

  test('a flag wins over its variable, an empty variable counts as unset', () => {
    expect(settle('frontend', { '--http-port': '9000' }, { DYN_HTTP_PORT: '9001' }).frontend.http.port).toBe(9000);
    expect(settle('frontend', {}, { DYN_HTTP_PORT: '9001' }).frontend.http.port).toBe(9001);
    expect(settle('frontend', {}, { DYN_HTTP_PORT: '' }).frontend.http.port).toBe(8000);
  });

  test("a variable of another command's option is left alone", () => {
    expect(settle('serve', {}, { DYN_DISCOVERY_BACKEND: 'etcd' }).connect.discovery).toBe('file');
  });

  test('every optional member has its flag', () => {
    const given = { '--namespace': 'a', '--model-path': '/m', '--model-name': 'n', '--endpoint': 'dyn://a.b.c', '--metrics-prefix': 'p' };
    expect(settle('serve', given, {})).toMatchObject({
      namespace: 'a',
      modelPath: '/m',
      worker: { name: 'n', endpoint: 'dyn://a.b.c' },
      frontend: { metricsPrefix: 'p' },
    });
    expect(settle('frontend', { '--namespace-prefix': 'x' }, {}).frontend.namespacePrefix).toBe('x');
  });

  test('limits of the HTTP server come from their variables, in the units of the library', () => {
    const env = { DYN_HTTP_MAX_CONCURRENT_REQUESTS: '8', DYN_HTTP_BACKEND_STREAM_TIMEOUT_SECS: '3', DYN_HTTP_GRACEFUL_SHUTDOWN_TIMEOUT_SECS: '5' };
    expect(frontendOptions(settle('frontend', {}, env))).toMatchObject({ limits: { concurrent: 8, idleMs: 3_000 }, drainMs: 5_000 });
  });

  test('who may ask, and how it is encrypted', () => {
    const given = { '--tls-cert-path': 'c', '--tls-key-path': 'k', '--api-keys-path': 'f', '--admin-api': 'open' };
    expect(frontendOptions(settle('frontend', given, { DYN_DISABLE_FRONTEND_ADMIN_API: '1' }))).toMatchObject({
      http: { tls: { certPath: 'c', keyPath: 'k' }, admin: false },
      access: { keysPath: 'f', admin: 'open' },
    });
  });

  test.each([
    ['frontend', { '--http-port': '65536' }, {}, "--http-port '65536': expected a whole number from 0 to 65535"],
    ['frontend', {}, { DYN_HTTP_PORT: '80x' }, "DYN_HTTP_PORT='80x': expected a whole number from 0 to 65535"],
    ['serve', { '--workers': '0' }, {}, "--workers '0': expected a whole number from 1"],
    ['serve', { '--delay-ms': '-1' }, {}, "--delay-ms '-1': expected a whole number from 0"],
    ['worker', { '--engine': 'vllm' }, {}, "--engine 'vllm': expected one of echo, llama, openai"],
    ['worker', { '--endpoint': 'a.b' }, {}, "--endpoint 'a.b': expected namespace.component.endpoint, each of letters, digits, '-' and '_'"],
    [
      'frontend',
      { '--router-mode': 'fast' },
      {},
      "--router-mode 'fast': expected one of round-robin, random, power-of-two, kv, direct, least-loaded, device-aware-weighted",
    ],
    ['frontend', { '--router-temperature': 'warm' }, {}, "--router-temperature 'warm': expected a number"],
    ['frontend', {}, { DYN_ACTIVE_DECODE_BLOCKS_THRESHOLD: '0,5' }, "DYN_ACTIVE_DECODE_BLOCKS_THRESHOLD='0,5': expected a number"],
    ['frontend', { '--router-tracking-hash': 'keyed-xxh3-v1' }, {}, "--router-tracking-hash 'keyed-xxh3-v1' is not available in this version"],
    ['router', { '--router-block-size': '0' }, {}, "--router-block-size '0': expected a whole number from 1"],
    ['worker', { '--discovery-backend': 'kubernetes' }, {}, "--discovery-backend 'kubernetes' is not available in this version"],
    ['worker', { '--request-plane': 'http' }, {}, "--request-plane 'http': expected one of nats, tcp"],
    ['worker', { '--response-plane': 'quic' }, {}, "--response-plane 'quic' is not available in this version"],
    ['frontend', { '--grpc-metrics-port': '70000' }, {}, "--grpc-metrics-port '70000': expected a whole number from 0 to 65535"],
  ] as const)('%s with %o and %o says what is wrong', (command, given, env, message) => {
    expect(() => settle(command, given, env)).toThrow(new UsageError(message));
  });

  test('DYN_LOG may be a list with targets, as the real system takes it', () => {
    expect(settle('frontend', {}, { DYN_LOG: 'warn,dynamo_runtime=debug' }).log).toBe('warn,dynamo_runtime=debug');
    expect(settle('frontend', {}, {}).log).toBe('info');
  });

  test('with a KServe server the ports change places', () => {
    expect(frontendOptions(settle('frontend', { '--kserve-grpc-server': true, '--http-port': '9000', '--tls-cert-path': 'c' }, {}))).toMatchObject({
      http: { port: 8788, tls: { certPath: 'c' } },
      grpc: { host: '0.0.0.0', port: 9000, tls: { certPath: 'c' } },
    });
    expect(frontendOptions(settle('frontend', {}, {}))).not.toHaveProperty('grpc');
  });

  test('a switch can be turned off', () => {
    expect(settle('frontend', { '--kserve-grpc-server': false }, { DYN_KSERVE_GRPC_SERVER: '1' }).frontend.kserve).toBe(false);
  });
});
