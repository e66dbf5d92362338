import { channelReasoning } from '../channels/channel.ts';
import { harmonyChannels } from '../channels/harmony.ts';
import { museChannels } from '../channels/muse.ts';
import type { ReasoningParser } from './parser.ts';

/** gpt-oss: what the analysis channel carries. */
export const gptOss: ReasoningParser = channelReasoning(harmonyChannels);

/** Muse: what the model writes to itself. */
export const muse: ReasoningParser = channelReasoning(museChannels);
