import type { ChannelFamily } from '../channels/channel.ts';

/** What a parser needs to know of a function that the model may call. */
export interface ToolSpec {
  readonly name: string;
  /** JSON Schema of its arguments. */
  readonly parameters?: Readonly<Record<string, unknown>> | null | undefined;
}

/** What parsers find in an answer, in the answer's order. */
export type ParserEvent =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'reasoning'; readonly text: string }
  | { readonly type: 'tool-call-start'; readonly index: number; readonly id: string; readonly name: string }
  | { readonly type: 'tool-call-delta'; readonly index: number; readonly arguments: string }
  | {
      readonly type: 'tool-call-end';
      readonly index: number;
      /** True where arguments were told as they came, and then went on to be no JSON or were cut off. */
      readonly broken?: boolean;
    };

/** What a run may use beside the text. */
export interface ToolParserOptions {
  /** A fresh UUID, for families whose models give their calls no ids. */
  readonly uuid: () => string;
  /** Whether the client demands a call, which then comes as JSON: what looks like a call without markers is left for that. */
  readonly demanded?: boolean;
  /** Whether the client takes arguments as they come; else a call is told when it is whole. */
  readonly pieces?: boolean;
}

/** Reads one answer. A whole answer is a stream of one piece: how the text is cut makes no difference to what is found. */
export interface ToolParserRun {
  push(text: string): readonly ParserEvent[];
  /** The answer has ended, perhaps in the middle of a call. */
  end(): readonly ParserEvent[];
}

/** Finds the tool calls in the answers of one model family (spec llm 6). */
export interface ToolParser {
  start(tools: readonly ToolSpec[], options: ToolParserOptions): ToolParserRun;
  /** Its channel marks stand around every answer: it reads them off even where no tool may be called. */
  readonly always?: boolean;
  /** The family whose channels this parser reads, where it is one with the reasoning parser. */
  readonly channel?: ChannelFamily;
  /** False for families that call in their own grammar, and in no JSON, when the client demands a call. */
  readonly guided?: boolean;
}

/** A call that was read whole. */
export interface WholeCall {
  readonly name: string;
  /** JSON text. */
  readonly arguments: string;
  /** Where the model gives one. */
  readonly id?: string;
}
