import { channelTools } from '../channels/channel.ts';
import { harmonyChannels } from '../channels/harmony.ts';
import type { ToolParser } from './parser.ts';

/** gpt-oss without its reasoning parser: thoughts are dropped, as in 1.6.1. */
export const harmony: ToolParser = channelTools(harmonyChannels);
