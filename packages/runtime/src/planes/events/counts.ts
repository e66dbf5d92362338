import type { EventCounts } from './event-plane.ts';

/** Counts of a plane that has met nothing yet. */
export const newCounts = (): EventCounts => ({ received: 0, missed: 0, overflowed: 0, malformed: 0, ignored: 0 });
