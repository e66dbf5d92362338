import type { ChatRequest } from '../openai/chat.ts';
import { mustCall } from '../openai/guided.ts';
import { asksThinking } from '../template/variables.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { type AnswerParser, answerParser } from './answer-parser.ts';
import { filtered } from './channels/channel.ts';
import { reasoningParsers } from './reasoning/index.ts';
import type { ReasoningParser, ThinkingFacts } from './reasoning/parser.ts';
import { basic } from './reasoning/think-tags.ts';
import { toolParsers } from './tools/index.ts';
import type { ToolParser, ToolSpec } from './tools/parser.ts';

/** The parsers of a model. */
export interface ModelParsers {
  readonly tools?: ToolParser;
  readonly reasoning?: ReasoningParser;
  /** Tokens that are markers, where the model's family has such. */
  readonly marks?: ReadonlyMap<number, string>;
}

/** What of a request its answers' parser needs beside it. */
export interface RequestFacts {
  /** The template's variables, in which every spelling of thinking has been brought into line. */
  readonly variables: Readonly<Record<string, unknown>> | undefined;
  /** The rendered prompt, where there is one. */
  readonly prompt: string | undefined;
  /** Whether the client takes arguments of calls as they come. */
  readonly pieces?: boolean;
}

/** Markers with which a template opens a thought on the model's behalf. */
const openings: readonly string[] = ['<think>', '◁think▷', '<mm:think>', '[THINK]', '<|open|>think<|sep|>', '<|channel>thought'];

/** The parsers by the names on a model's card; an unknown reasoning parser is `basic`, as in 1.6.1, and `unknown` hears of it. */
export function modelParsers(
  names: { readonly toolParser?: string | undefined; readonly reasoningParser?: string | undefined },
  options: { readonly tokenizer?: Pick<Tokenizer, 'encode'>; readonly unknown?: (kind: 'tool' | 'reasoning', name: string) => void } = {},
): ModelParsers {
  const { toolParser, reasoningParser } = names;
  const tools = named(toolParsers, toolParser);
  const reasoning = named(reasoningParsers, reasoningParser) ?? (reasoningParser === undefined ? undefined : basic);
  if (toolParser !== undefined && tools === undefined) options.unknown?.('tool', toolParser);
  if (reasoningParser !== undefined && !Object.hasOwn(reasoningParsers, reasoningParser)) options.unknown?.('reasoning', reasoningParser);
  const marks = marksOf((tools?.channel ?? reasoning?.channel)?.tokens ?? [], options.tokenizer);
  return {
    ...(tools === undefined ? {} : { tools }),
    ...(reasoning === undefined ? {} : { reasoning }),
    ...(marks.size === 0 ? {} : { marks }),
  };
}

const named = <T>(parsers: Readonly<Record<string, T>>, name: string | undefined): T | undefined =>
  name !== undefined && Object.hasOwn(parsers, name) ? parsers[name] : undefined;

/** The markers that the vocabulary has as single tokens. */
function marksOf(markers: readonly string[], tokenizer: Pick<Tokenizer, 'encode'> | undefined): Map<number, string> {
  const marks = new Map<number, string>();
  for (const marker of markers) {
    const [id, ...more] = tokenizer?.encode(marker) ?? [];
    if (id !== undefined && more.length === 0) marks.set(id, marker);
  }
  return marks;
}

/** How to read the answers to a chat request; undefined where their text is passed on as it is. */
export function answerParserFor(request: ChatRequest, parsers: ModelParsers, facts: RequestFacts): AnswerParser | undefined {
  const { tools, reasoning } = parsers;
  if (tools === undefined && reasoning === undefined) return undefined;
  const choice = request.tool_choice ?? undefined;
  const parser = answerParser({
    tools,
    reasoning,
    callable: choice === 'none' ? [] : (request.tools ?? []).map(({ function: { name, parameters } }): ToolSpec => ({ name, parameters })),
    ...(mustCall(request) ? { demanded: { name: typeof choice === 'object' ? choice.function.name : undefined } } : {}),
    thinking: thinkingOf(facts),
    pieces: facts.pieces,
  });
  return parser === undefined || request.parallel_tool_calls !== false ? parser : oneCall(parser);
}

/** A client that wants no calls side by side is told of the first one alone (1.6.1). */
const oneCall = ({ reasons, start }: AnswerParser): AnswerParser => ({ reasons, start: () => filtered(start(), { thoughts: true, calls: 'first' }) });

function thinkingOf({ variables, prompt }: RequestFacts): ThinkingFacts {
  const effort = variables?.['reasoning_effort'];
  const end = prompt?.slice(-64).trimEnd();
  return {
    asked: asksThinking(variables),
    effort: typeof effort === 'string' ? effort : undefined,
    promptOpens: end !== undefined && openings.some((opening) => end.endsWith(opening)),
  };
}
