import type { ChannelFamily } from '../channels/channel.ts';
import type { ParserEvent, ToolParser } from '../tools/parser.ts';

/** What a reasoning parser finds, in the answer's order. */
export type ThoughtEvent = Extract<ParserEvent, { type: 'text' | 'reasoning' }>;

/** What a request says about thinking (spec llm 6). */
export interface ThinkingFacts {
  /** Whether the client asks for thoughts or forbids them; undefined where it leaves that open. */
  readonly asked?: boolean | undefined;
  /** The effort that it asks for. */
  readonly effort?: string | undefined;
  /** Whether the rendered prompt ends by opening a thought. */
  readonly promptOpens?: boolean | undefined;
  /** Whether a tool parser reads what this parser leaves. */
  readonly tools?: boolean | undefined;
}

/** Reads one answer; how its text is cut makes no difference to what is found. */
export interface ReasoningRun {
  push(text: string): readonly ThoughtEvent[];
  end(): readonly ThoughtEvent[];
  /** Whether it stands in a thought. */
  readonly inside: boolean;
}

/** Tells thoughts from answers for one model family (spec llm 6). */
export interface ReasoningParser {
  start(facts: ThinkingFacts): ReasoningRun;
  /** Whether it reads no thoughts in this request; never by default. */
  isOff?(facts: ThinkingFacts): boolean;
  /** The family whose channels this parser reads, where it is one with the tool parser. */
  readonly channel?: ChannelFamily;
  /** The tool parser that reads the answer first, as its models call tools in the middle of thoughts. */
  readonly afterTools?: ToolParser;
}
