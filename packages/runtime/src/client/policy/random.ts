import type { RoutePolicy } from '../types.ts';

/** Draws each instance with the same chance. */
export const random = (draw: () => number = Math.random): RoutePolicy => ({
  pick: (_request, candidates) => ({ instance: candidates[Math.floor(draw() * candidates.length)]!.id }),
});
