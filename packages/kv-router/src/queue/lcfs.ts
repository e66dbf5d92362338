import type { QueuePolicy } from './queue-policy.ts';

/** Last come, first served: bad for the slowest answers on purpose, for comparisons. */
export const lcfs: QueuePolicy = { name: 'lcfs', key: ({ priorityJump, arrival }) => priorityJump + arrival };
