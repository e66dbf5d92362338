import type { CommandName, Flag } from './flags.ts';

const routers: readonly CommandName[] = ['serve', 'frontend', 'router'];
const again: readonly CommandName[] = [...routers, 'what-if', 'replay', 'select-service'];
const front: readonly CommandName[] = ['serve', 'frontend'];

/** One setting of the KV router, under the variable `DYN_` and the flag's own name unless another is given. */
function setting(name: string, option: string, row: Omit<Flag, 'commands' | 'flag' | 'option'>): Flag {
  return { env: `DYN_${name.toUpperCase().replaceAll('-', '_')}`, ...row, flag: `--${name}`, option: `router.settings.${option}`, commands: again };
}

/** How workers are chosen in mode kv: the settings of the real router 1.6.1 (spec kv-router 12). */
const settings: readonly Flag[] = [
  setting('router-kv-overlap-score-credit', 'overlapCredit', {
    type: 'number',
    fallback: 1,
    help: 'What a cached block is worth beside one that must be read; 0 routes by load alone.',
  }),
  setting('router-kv-overlap-score-credit-decay', 'overlapCreditDecay', {
    type: 'number',
    fallback: 0,
    help: 'How fast that credit falls on a worker that reads more than the least busy one; 0 never.',
  }),
  setting('router-prefill-load-scale', 'prefillLoadScale', {
    type: 'number',
    fallback: 1,
    help: 'How much the reading of prompts weighs beside the running blocks.',
  }),
  setting('router-decode-active-request-weight', 'activeRequestWeight', {
    type: 'number',
    fallback: 0,
    help: 'What each running request of a worker costs, in blocks.',
  }),
  setting('router-host-cache-hit-weight', 'hostCacheWeight', {
    type: 'number',
    fallback: 0.75,
    help: "What a block in a worker's host memory is worth, 0 to 1.",
  }),
  setting('router-disk-cache-hit-weight', 'diskCacheWeight', {
    type: 'number',
    fallback: 0.25,
    help: "What a block on a worker's disk, or further away, is worth, 0 to 1.",
  }),
  setting('router-temperature', 'temperature', {
    type: 'number',
    fallback: 0,
    help: 'Spreads requests over workers of nearly the same cost; 0 takes the cheapest.',
  }),
  setting('router-kv-events', 'kvEvents', {
    type: 'switch',
    env: 'DYN_ROUTER_USE_KV_EVENTS',
    aliases: ['--kv-events'],
    fallback: true,
    help: "Listens to the workers' cache events; without them the router goes by its own decisions.",
  }),
  setting('router-replica-sync', 'replicaSync', {
    type: 'switch',
    fallback: false,
    help: 'Tells other routers of the same workers about requests, and hears about theirs.',
  }),
  setting('router-track-active-blocks', 'trackActiveBlocks', {
    type: 'switch',
    aliases: ['--track-active-blocks'],
    fallback: true,
    help: 'Counts the blocks of running requests.',
  }),
  setting('router-track-output-blocks', 'trackOutputBlocks', {
    type: 'switch',
    aliases: ['--track-output-blocks'],
    fallback: false,
    help: 'Counts the blocks of answers as they grow.',
  }),
  setting('router-assume-kv-reuse', 'assumeKvReuse', {
    type: 'switch',
    aliases: ['--assume-kv-reuse'],
    fallback: true,
    help: 'Counts a block that two running requests share once.',
  }),
  setting('router-track-prefill-tokens', 'trackPrefillTokens', {
    type: 'switch',
    fallback: true,
    help: 'Counts the prompt tokens that workers must still read.',
  }),
  setting('router-tracking-hash', 'trackingHash', {
    type: 'choice',
    choices: ['public-xxh3-v1', 'keyed-xxh3-v1'],
    later: (value) => value === 'keyed-xxh3-v1',
    fallback: 'public-xxh3-v1',
    help: 'By which hash routers know running blocks.',
  }),
  setting('router-prefill-load-model', 'prefillLoadModel', {
    type: 'choice',
    choices: ['none', 'ais'],
    later: (value) => value === 'ais',
    fallback: 'none',
    help: 'Foretells how long a prompt takes to read.',
  }),
  setting('router-ttl-secs', 'ttlSeconds', {
    type: 'number',
    fallback: 120,
    help: 'How long a decision counts as cached where no events are heard, in seconds.',
  }),
  setting('router-approximate-cache-policy', 'approximatePolicy', {
    type: 'choice',
    choices: ['ttl', 'lru'],
    fallback: 'ttl',
    help: 'What is forgotten where no events are heard; lru records nothing, as in 1.6.1.',
  }),
  setting('router-queue-threshold', 'queueThreshold', {
    type: 'number',
    help: 'Keeps requests back while every worker reads more than this part of what it takes in a step. No queue by default.',
  }),
  setting('router-queue-policy', 'queuePolicy', {
    type: 'choice',
    choices: ['fcfs', 'lcfs', 'wspt'],
    fallback: 'fcfs',
    help: 'In which order they go: first come first, last come first, or least work first.',
  }),
  setting('router-policy-config', 'policyConfig', {
    type: 'text',
    help: 'YAML file with classes of requests, their queues and limits, and settings of the router; it wins over flags.',
  }),
  setting('router-event-threads', 'eventThreads', {
    type: 'count',
    least: 1,
    fallback: 4,
    help: 'Taken for compatibility: events are applied in one thread.',
  }),
  setting('router-predicted-ttl-secs', 'predictedTtlSeconds', {
    type: 'number',
    help: 'Counts a prompt as cached for so many seconds as soon as it is sent, beside what events say. Off by default.',
  }),
  setting('router-conditional-disagg', 'conditionalDisagg', {
    type: 'switch',
    fallback: false,
    help: 'Lets a decode worker read a prompt itself when it has cached most of it.',
  }),
];

/** What the real router does not have. */
const beyond: readonly Flag[] = [
  {
    flag: '--router-trust',
    env: 'DYN_ROUTER_TRUST',
    type: 'choice',
    choices: ['act', 'watch', 'off'],
    fallback: 'act',
    help: "What becomes of a worker whose cache events are missing or contradicted by its answers: act places by the router's own decisions there, watch only tells, off believes every worker as the real router does.",
    option: 'router.beyond.trust',
    commands: routers,
  },
  {
    flag: '--router-route-header',
    env: 'DYN_ROUTER_ROUTE_HEADER',
    type: 'switch',
    fallback: false,
    help: 'Adds the header x-dynamo-route to answers: where the request went, and why.',
    option: 'router.beyond.routeHeader',
    commands: front,
  },
  {
    flag: '--router-warm-peers',
    env: 'DYN_ROUTER_WARM_PEERS',
    type: 'switch',
    fallback: false,
    help: 'Begins with what other routers of the same workers know, and answers those that begin.',
    option: 'router.beyond.warmPeers',
    commands: routers,
  },
  {
    flag: '--router-warm-folder',
    env: 'DYN_ROUTER_WARM_FOLDER',
    type: 'folder',
    help: 'Folder for snapshots of what the router knows: it begins with them, and writes them every minute and at the end.',
    option: 'router.beyond.warmFolder',
    commands: routers,
  },
  {
    flag: '--router-record',
    env: 'DYN_ROUTER_RECORD',
    type: 'text',
    help: 'File of JSON lines for what the router decides by, hashes and numbers without text. A frontend writes one for each endpoint, with its name before the extension.',
    option: 'router.beyond.record',
    commands: routers,
  },
  {
    flag: '--recording',
    type: 'text',
    help: 'Recording whose traffic is run again; dynamo router what-if FILE is the same. Without router options it shows the recorded ones.',
    option: 'router.recording',
    commands: ['what-if'],
  },
];

/** Every option of routing beside the mode. */
export const routerFlags: readonly Flag[] = [
  ...settings,
  {
    flag: '--router-conditional-disagg-config',
    env: 'DYN_ROUTER_CONDITIONAL_DISAGG_CONFIG',
    type: 'text',
    help: 'When it does, as a JSON object: policy, eff_isl_threshold, eff_isl_ratio_threshold, prefill_busy_threshold, decode_busy_threshold.',
    option: 'router.conditional',
    commands: front,
  },
  {
    flag: '--load-aware',
    env: 'DYN_ROUTER_LOAD_AWARE',
    type: 'switch',
    fallback: false,
    help: 'Routes by load alone, without cache events; stands for mode kv and wins over its settings.',
    option: 'router.loadAware',
    commands: [...routers, 'replay'],
  },
  {
    flag: '--router-min-initial-workers',
    env: 'DYN_ROUTER_MIN_INITIAL_WORKERS',
    type: 'count',
    fallback: 0,
    help: 'How many workers a model must have before it is offered.',
    option: 'router.minWorkers',
    commands: front,
  },
  {
    flag: '--kv-cache-block-size',
    env: 'DYN_KV_CACHE_BLOCK_SIZE',
    type: 'count',
    least: 1,
    fallbackText: "the workers' own",
    help: 'Tokens of one KV block, for workers whose card does not say it.',
    option: 'router.blockSize',
    commands: front,
  },
  {
    flag: '--router-session-affinity-ttl-secs',
    env: 'DYN_ROUTER_SESSION_AFFINITY_TTL_SECS',
    type: 'number',
    help: 'Keeps each session on its worker until it has been idle for so many seconds. Off by default.',
    option: 'router.affinity.ttlSeconds',
    commands: front,
  },
  {
    flag: '--router-session-affinity-mode',
    env: 'DYN_ROUTER_SESSION_AFFINITY_MODE',
    type: 'choice',
    choices: ['hard', 'soft'],
    fallback: 'hard',
    help: 'Whether a session keeps to a worker that can not be reached for the moment, or goes elsewhere.',
    option: 'router.affinity.mode',
    commands: front,
  },
  {
    flag: '--endpoint',
    env: 'DYN_ROUTER_ENDPOINT',
    type: 'endpoint',
    help: 'Endpoint of the workers that the router chooses from.',
    option: 'router.endpoint',
    commands: ['router'],
  },
  {
    flag: '--router-block-size',
    env: 'DYN_ROUTER_BLOCK_SIZE',
    aliases: ['--block-size'],
    type: 'count',
    least: 1,
    fallback: 128,
    help: 'Tokens of one KV block, as the workers count them.',
    option: 'router.serviceBlockSize',
    commands: ['router'],
  },
  ...beyond,
];
