import type { QueuePolicy } from './queue-policy.ts';

/** First come, first served; a jump counts as having come that many seconds earlier. */
export const fcfs: QueuePolicy = { name: 'fcfs', key: ({ priorityJump, arrival }) => priorityJump - arrival };
