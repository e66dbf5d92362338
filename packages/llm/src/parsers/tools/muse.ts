import { channelTools } from '../channels/channel.ts';
import { museChannels } from '../channels/muse.ts';
import type { ToolParser } from './parser.ts';

/** Muse: ` to=NAME<|message|>` with an invocation in tags. */
export const muse: ToolParser = channelTools(museChannels);
