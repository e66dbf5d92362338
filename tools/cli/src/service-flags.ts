import type { CommandName, Flag } from './flags.ts';

const services: readonly CommandName[] = ['slot-tracker', 'indexer', 'select-service'];
const replicated: readonly CommandName[] = ['slot-tracker', 'select-service'];

/** The port of one service, and what it is by default in the real system. */
const port = (command: CommandName, fallback: number, option: string): Flag => ({
  flag: '--port',
  type: 'port',
  fallback,
  help: 'Port of the HTTP server; 0 takes a free one.',
  option: `services.${option}`,
  commands: [command],
});

const indexer = (flag: `--${string}`, option: string, row: Omit<Flag, 'commands' | 'flag' | 'option'>): Flag => ({
  ...row,
  flag,
  option: `services.${option}`,
  commands: ['indexer'],
});

const selection = (flag: `--${string}`, option: string, row: Omit<Flag, 'commands' | 'flag' | 'option'>): Flag => ({
  ...row,
  flag,
  option: `services.${option}`,
  commands: ['select-service'],
});

/** What the router's services on their own are told: the flags of 1.6.1 (spec kv-router 20), and the address and replay sockets beside them. */
export const serviceFlags: readonly Flag[] = [
  {
    flag: '--host',
    type: 'text',
    fallback: '0.0.0.0',
    help: 'Address that the HTTP server listens on.',
    option: 'services.host',
    commands: services,
  },
  port('slot-tracker', 8091, 'slotsPort'),
  port('indexer', 8090, 'indexerPort'),
  port('select-service', 8092, 'selectionPort'),
  {
    flag: '--threads',
    type: 'count',
    least: 1,
    fallback: 4,
    help: 'Taken as the real service takes it; one thread does all the work here.',
    option: 'services.threads',
    commands: ['indexer', 'select-service'],
  },
  {
    flag: '--replica-sync-port',
    type: 'port',
    help: 'Port of a ZMQ socket that tells other replicas what is booked here. None by default.',
    option: 'services.replicaPort',
    commands: replicated,
  },
  {
    flag: '--replica-sync-peers',
    type: 'text',
    help: 'ZMQ addresses of other replicas, separated by commas.',
    option: 'services.replicaPeers',
    commands: replicated,
  },
  indexer('--block-size', 'blockSize', { type: 'count', least: 1, help: 'Tokens of one KV block of the engines named by --workers.' }),
  indexer('--workers', 'engines', {
    type: 'text',
    help: 'Engines to listen to from the start, as ID[:RANK]=ADDRESS,… such as 1=tcp://host:5557,1:1=tcp://host:5558.',
  }),
  indexer('--replay-endpoints', 'replays', {
    type: 'text',
    help: 'Replay sockets of those engines, written alike: what was missed is asked of them. The real indexer takes them over HTTP only.',
  }),
  indexer('--model-name', 'model', { type: 'text', fallback: 'default', help: 'Model of the engines named by --workers.' }),
  indexer('--routing-group', 'group', { type: 'text', fallback: 'default', help: 'Routing group of the engines named by --workers.' }),
  indexer('--peers', 'indexerPeers', {
    type: 'text',
    help: 'URLs of other indexers, separated by commas: what the first that answers knows is taken over at the start.',
  }),
  selection('--indexer-peers', 'selectionPeers', {
    type: 'text',
    help: 'URLs of selection services or indexers, separated by commas: what the first that answers knows is taken over at the start.',
  }),
  selection('--session-affinity-ttl-secs', 'affinityTtlSeconds', {
    type: 'number',
    help: 'Keeps each session_id on its worker until it has been idle for so many seconds. Off by default.',
  }),
  selection('--selection-cache-ttl-secs', 'pendingTtlSeconds', {
    type: 'number',
    fallback: 60,
    help: 'How long a selection with a name may wait to be reserved, in seconds.',
  }),
  selection('--selection-cache-max-entries', 'pendingMost', {
    type: 'count',
    least: 1,
    fallback: 65_536,
    help: 'How many selections may wait to be reserved.',
  }),
];
