import type { SiblingMessage } from '@dynamo/llm/internal';

/** What a frontend process tells its parent. */
export type ToParent =
  | { readonly fleet: 'tell'; readonly message: SiblingMessage }
  | { readonly fleet: 'scrape'; readonly id: number }
  | { readonly fleet: 'text'; readonly id: number; readonly text: string };

/** What the parent tells a frontend process. */
export type ToChild =
  | { readonly fleet: 'tell'; readonly message: SiblingMessage }
  | { readonly fleet: 'give'; readonly id: number }
  | { readonly fleet: 'scraped'; readonly id: number; readonly text: string };

/** Whether a message between processes is one of these. */
export const isFleetMessage = <T extends ToParent | ToChild>(message: unknown): message is T =>
  typeof message === 'object' && message !== null && typeof Reflect.get(message, 'fleet') === 'string';

/** Says that a process is one of several. */
export const fleetVariable = 'DYN_HTTP_FLEET_MEMBER';
