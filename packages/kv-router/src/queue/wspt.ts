import type { QueuePolicy } from './queue-policy.ts';

/** Weighted shortest processing time: short prompts first, which is best for the mean time to the first token. */
export const wspt: QueuePolicy = { name: 'wspt', key: ({ priorityJump, cost }) => (1 + priorityJump) / cost };
