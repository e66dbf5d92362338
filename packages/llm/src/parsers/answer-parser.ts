import { randomUUID } from 'node:crypto';
import { type ChannelFamily, type ChannelRun, filtered } from './channels/channel.ts';
import type { ReasoningParser, ReasoningRun, ThinkingFacts, ThoughtEvent } from './reasoning/parser.ts';
import { DemandedRun } from './tools/demanded.ts';
import type { ParserEvent, ToolParser, ToolParserRun, ToolSpec } from './tools/parser.ts';

/** What must be known of a model and a request to read the model's answers. */
export interface AnswerParserOptions {
  readonly tools?: ToolParser | undefined;
  readonly reasoning?: ReasoningParser | undefined;
  /** The functions that the model may call now; empty where there are none or the client forbids calls. */
  readonly callable: readonly ToolSpec[];
  /** Set where the client demands a call; with a name where it demands that function's. */
  readonly demanded?: { readonly name?: string | undefined } | undefined;
  readonly thinking: ThinkingFacts;
  /** Whether the client takes a call's arguments as they come. */
  readonly pieces?: boolean | undefined;
  /** Makes fresh UUIDs. */
  readonly uuid?: () => string;
}

/** Reads one answer with both parsers of its model. */
export type AnswerRun = ChannelRun;

/** How to read the answers to a request: a run for each. */
export interface AnswerParser {
  start(): AnswerRun;
  /** Whether it looks for thoughts. */
  readonly reasons: boolean;
}

/** The parser for the answers to a request; undefined where their text is passed on as it is. */
export function answerParser(options: AnswerParserOptions): AnswerParser | undefined {
  const { tools, reasoning } = options;
  const calls = options.callable.length > 0;
  const family = tools?.channel ?? reasoning?.channel;
  const isOne =
    family !== undefined && (tools === undefined || tools.channel === family) && (reasoning === undefined || reasoning.channel === family);
  if (isOne) return { start: () => channelRun(family, options), reasons: reasoning !== undefined };
  const reading = tools !== undefined && (calls || tools.always === true) ? tools : undefined;
  if (reading === undefined && reasoning === undefined) return undefined;
  const isPair = tools !== undefined && reasoning?.afterTools === tools;
  const off = reasoning?.isOff?.(options.thinking) === true;
  const start = (): AnswerRun => {
    const facts = { ...options.thinking, tools: reading !== undefined };
    const thoughts = isPair && off ? asText(reasoning.start({ ...facts, asked: undefined })) : reasoning?.start(facts);
    const found = reading === undefined ? undefined : toolRun(reading, options);
    if (thoughts === undefined) return new ToolsAlone(found as ToolParserRun);
    if (found === undefined) return thoughts;
    return isPair && options.demanded === undefined ? new ToolsFirst(found, thoughts) : new ThoughtsFirst(thoughts, found);
  };
  return { start, reasons: reasoning !== undefined && !off };
}

/** Thoughts that nobody asked for are text, without their markers (1.6.1). */
function asText(run: ReasoningRun): ReasoningRun {
  const shown = (events: readonly ThoughtEvent[]): readonly ThoughtEvent[] => events.map(({ text }) => ({ type: 'text', text }));
  return { push: (text) => shown(run.push(text)), end: () => shown(run.end()), inside: false };
}

function channelRun(family: ChannelFamily, options: AnswerParserOptions): AnswerRun {
  const uuid = options.uuid ?? randomUUID;
  const calls = options.tools !== undefined && options.callable.length > 0;
  const thoughts = options.reasoning !== undefined || family.thoughts === 'keep';
  const run = filtered(family.start({ tools: options.callable, uuid, shown: options.thinking.asked === false, pieces: options.pieces === true }), {
    thoughts,
    calls,
  });
  if (!calls || options.demanded === undefined) return run;
  const demanded = new DemandedRun(run, { uuid, name: options.demanded.name });
  return {
    push: (text) => demanded.push(text),
    end: () => demanded.end(),
    get inside() {
      return run.inside;
    },
    mark: (marker) => demanded.pass(run.mark?.(marker) ?? []),
    plain: (text) => demanded.pass(run.plain?.(text) ?? run.push(text)),
  };
}

function toolRun(tools: ToolParser, { callable, demanded, pieces = false, uuid = randomUUID }: AnswerParserOptions): ToolParserRun {
  const isDemanded = demanded !== undefined && tools.guided !== false;
  const run = tools.start(callable, { uuid, demanded: isDemanded, pieces });
  if (callable.length === 0)
    return filtered({ push: (text) => run.push(text), end: () => run.end(), inside: false }, { thoughts: true, calls: false });
  return isDemanded ? new DemandedRun(run, { uuid, name: demanded.name }) : run;
}

class ToolsAlone implements AnswerRun {
  readonly inside = false;
  readonly #tools: ToolParserRun;

  constructor(tools: ToolParserRun) {
    this.#tools = tools;
  }

  push(text: string): readonly ParserEvent[] {
    return this.#tools.push(text);
  }

  end(): readonly ParserEvent[] {
    return this.#tools.end();
  }
}

/** Calls in thoughts are thoughts (spec llm 6). */
class ThoughtsFirst implements AnswerRun {
  readonly #thoughts: ReasoningRun;
  readonly #tools: ToolParserRun;

  constructor(thoughts: ReasoningRun, tools: ToolParserRun) {
    this.#thoughts = thoughts;
    this.#tools = tools;
  }

  get inside(): boolean {
    return this.#thoughts.inside;
  }

  push(text: string): readonly ParserEvent[] {
    return this.#pass(this.#thoughts.push(text));
  }

  end(): readonly ParserEvent[] {
    return [...this.#pass(this.#thoughts.end()), ...this.#tools.end()];
  }

  #pass(events: readonly ParserEvent[]): readonly ParserEvent[] {
    const [only] = events;
    if (only === undefined || (events.length === 1 && only.type === 'reasoning')) return events;
    if (events.length === 1) return this.#tools.push((only as { text: string }).text);
    return events.flatMap((event): readonly ParserEvent[] => (event.type === 'text' ? this.#tools.push(event.text) : [event]));
  }
}

/** For models that call tools in the middle of thoughts. */
class ToolsFirst implements AnswerRun {
  readonly #tools: ToolParserRun;
  readonly #thoughts: ReasoningRun;

  constructor(tools: ToolParserRun, thoughts: ReasoningRun) {
    this.#tools = tools;
    this.#thoughts = thoughts;
  }

  get inside(): boolean {
    return this.#thoughts.inside;
  }

  push(text: string): readonly ParserEvent[] {
    return this.#pass(this.#tools.push(text));
  }

  end(): readonly ParserEvent[] {
    return [...this.#pass(this.#tools.end()), ...this.#thoughts.end()];
  }

  #pass(events: readonly ParserEvent[]): readonly ParserEvent[] {
    return events.flatMap((event): readonly ParserEvent[] => (event.type === 'text' ? this.#thoughts.push(event.text) : [event]));
  }
}
