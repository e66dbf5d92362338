import type { ReasoningParser, ThoughtEvent } from '../reasoning/parser.ts';
import type { ParserEvent, ToolParser, ToolSpec } from '../tools/parser.ts';

/** What a channel family's run needs. */
export interface ChannelOptions {
  readonly tools: readonly ToolSpec[];
  readonly uuid: () => string;
  /** True where the client wants no thoughts: those that come all the same are text, for families that read it so. */
  readonly shown?: boolean;
  /** Whether the client takes arguments of calls as they come. */
  readonly pieces?: boolean;
}

/** Reads an answer of a family whose channels carry text, thoughts and calls, so that one parser must read them all. */
export interface ChannelRun {
  push(text: string): readonly ParserEvent[];
  end(): readonly ParserEvent[];
  /** Whether it stands in a thought. */
  readonly inside: boolean;
  /** A marker that came as a token of its own, for families that have such tokens. */
  mark?(marker: string): readonly ParserEvent[];
  /** Text of ordinary tokens, in which a marker's spelling is no marker. */
  plain?(text: string): readonly ParserEvent[];
}

/** A family whose tool and reasoning parser are one. */
export interface ChannelFamily {
  start(options: ChannelOptions): ChannelRun;
  /** Markers that the family's vocabulary has as tokens of their own. */
  readonly tokens?: readonly string[];
  /** What becomes of thoughts where the model names no reasoning parser. */
  readonly thoughts: 'drop' | 'keep';
}

/** What is kept of what the channels carry. */
export interface ChannelFilter {
  readonly thoughts: boolean;
  /** `first`: the calls after the first one are left out. */
  readonly calls: boolean | 'first';
}

/** A run without what nobody wants of it. */
export function filtered(run: ChannelRun, keep: ChannelFilter): ChannelRun {
  if (keep.thoughts && keep.calls === true) return run;
  const wanted = (event: ParserEvent): boolean => {
    if (event.type === 'text') return true;
    if (event.type === 'reasoning') return keep.thoughts;
    return keep.calls === 'first' ? event.index === 0 : keep.calls;
  };
  const only = (events: readonly ParserEvent[]): readonly ParserEvent[] => (events.every(wanted) ? events : events.filter(wanted));
  return {
    push: (text) => only(run.push(text)),
    end: () => only(run.end()),
    get inside() {
      return run.inside;
    },
    ...(run.mark === undefined ? {} : { mark: (marker: string) => only(run.mark?.(marker) ?? []) }),
    ...(run.plain === undefined ? {} : { plain: (text: string) => only(run.plain?.(text) ?? run.push(text)) }),
  };
}

/** The family's tool parser. */
export const channelTools = (family: ChannelFamily): ToolParser => ({
  always: true,
  channel: family,
  start: (tools, { uuid, pieces = false }) => filtered(family.start({ tools, uuid, pieces }), { thoughts: family.thoughts === 'keep', calls: true }),
});

/** The family's reasoning parser. */
export const channelReasoning = (family: ChannelFamily): ReasoningParser => ({
  channel: family,
  start: () => {
    const run = filtered(family.start({ tools: [], uuid: () => '' }), { thoughts: true, calls: false });
    return {
      push: (text) => run.push(text) as readonly ThoughtEvent[],
      end: () => run.end() as readonly ThoughtEvent[],
      get inside() {
        return run.inside;
      },
    };
  },
});
