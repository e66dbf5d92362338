import { fcfs } from './fcfs.ts';
import { lcfs } from './lcfs.ts';
import type { QueuePolicy } from './queue-policy.ts';
import { wspt } from './wspt.ts';

/** Every queue policy by its name: a new one is one file and one line here. */
export const queuePolicies: Readonly<Record<QueuePolicyName, QueuePolicy>> = { fcfs, lcfs, wspt };

/** Names of the queue policies. */
export type QueuePolicyName = 'fcfs' | 'lcfs' | 'wspt';
