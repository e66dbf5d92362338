import type { DynamoErrorCode } from '@dynamo/runtime';
import type { RemoteRegion } from '../transfer.ts';

/** What agents of one process tell each other. Views lie on shared memory, so that passing them moves no byte. */
export type Message =
  | { readonly op: 'read' | 'write'; readonly id: string; readonly from: string; readonly notif: string; readonly regions: readonly RemoteRegion[] }
  | { readonly op: 'given'; readonly id: string; readonly pieces: readonly Uint8Array[] }
  | { readonly op: 'done' | 'left' | 'ended'; readonly id: string }
  | { readonly op: 'err'; readonly id: string; readonly code: DynamoErrorCode; readonly message: string };

/** Name of the channel on which an agent listens. It can't be guessed, which makes it the agent's token too. */
export const channelOf = (agent: string): string => `dynamo-transfer-${agent}`;
