import { serveIndexer, serveSelection, serveSlotTracker } from '@dynamo/kv-router/internal';
import type { Logger } from '@dynamo/runtime';
import { reachable } from '../address.ts';
import { watchInterruption } from '../interruption.ts';
import { openLog } from '../log.ts';
import { routerSettings } from '../router-options.ts';
import type { Settings } from '../settings.ts';
import { UsageError } from '../usage.ts';

type Service = AsyncDisposable & { readonly address: string };

/** Runs the slot tracker until it is asked to end; resolves with the exit code. */
export const runSlotTracker = (settings: Settings): Promise<number> => {
  const { host, slotsPort: port, replicaPort, replicaPeers } = settings.services;
  return run(settings, 'slot tracker', (log) => serveSlotTracker({ host, port, replicaPort, replicaPeers: listed(replicaPeers), log }));
};

/** Runs the indexer until it is asked to end; resolves with the exit code. */
export const runIndexer = (settings: Settings): Promise<number> => {
  const { host, indexerPort: port, indexerPeers } = settings.services;
  const engines = namedEngines(settings.services);
  return run(settings, 'KV cache indexer', (log) => serveIndexer({ host, port, engines, peers: listed(indexerPeers), log }));
};

/** Runs the selection service until it is asked to end; resolves with the exit code. */
export const runSelectService = (settings: Settings): Promise<number> => {
  const {
    host,
    selectionPort: port,
    replicaPort,
    replicaPeers,
    selectionPeers,
    affinityTtlSeconds,
    pendingTtlSeconds,
    pendingMost,
  } = settings.services;
  return run(settings, 'selection service', (log) =>
    serveSelection({
      host,
      port,
      replicaPort,
      replicaPeers: listed(replicaPeers),
      peers: listed(selectionPeers),
      settings: routerSettings(settings),
      affinityTtlMs: affinityTtlSeconds === undefined ? undefined : affinityTtlSeconds * 1_000,
      pending: { ttlMs: pendingTtlSeconds * 1_000, most: pendingMost },
      log,
    }),
  );
};

async function run(settings: Settings, name: string, serve: (log: Logger) => Promise<Service>): Promise<number> {
  using log = openLog(settings);
  using interruption = watchInterruption();
  await using service = await serve(log);
  process.stdout.write(`Dynamo ${name} answers at ${reachable(service.address)}.\n`);
  const end = await interruption.asked;
  log.info({ signal: end }, 'ending');
  return 0;
}

const listed = (text = ''): string[] =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');

/** The engines of `--workers`, each with its replay socket if one is named. */
function namedEngines({
  engines = '',
  replays = '',
  blockSize,
  model,
  group,
}: Settings['services']): NonNullable<Parameters<typeof serveIndexer>[0]['engines']> {
  const sockets = addresses('--workers', engines);
  if (sockets.size > 0 && blockSize === undefined) throw new UsageError('--block-size is missing: the engines of --workers need one');
  const replaySockets = addresses('--replay-endpoints', replays);
  const stray = [...replaySockets.keys()].find((name) => !sockets.has(name));
  if (stray !== undefined) throw new UsageError(`--replay-endpoints names ${stray}, which --workers does not`);
  return [...sockets].map(([name, endpoint]) => {
    const [id = '', rank = '0'] = name.split(':');
    const replayEndpoint = replaySockets.get(name);
    const engine = { instanceId: BigInt(id), dpRank: Number(rank), endpoint, modelName: model, routingGroup: group, blockSize: blockSize ?? 0 };
    return replayEndpoint === undefined ? engine : { ...engine, replayEndpoint };
  });
}

/** `ID[:RANK]=ADDRESS,…` by `ID:RANK`. */
function addresses(flag: string, text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const part of listed(text)) {
    const [, id, rank = '0', address] = /^(\d{1,20})(?::(\d{1,9}))?=(\w+:\/\/.+)$/.exec(part) ?? [];
    if (id === undefined || address === undefined) throw new UsageError(`${flag} '${part}': expected ID[:RANK]=ADDRESS`);
    found.set(`${id}:${rank}`, address);
  }
  return found;
}
