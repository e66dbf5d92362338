import type { ChatRequest } from '../openai/chat.ts';
import { mustCall } from '../openai/guided.ts';
import { asksThinking, templateArgs } from '../openai/template-args.ts';
import { type AnswerParser, answerParser } from './answer-parser.ts';
import { reasoningParsers } from './reasoning/index.ts';
import type { ReasoningParser, ThinkingFacts } from './reasoning/parser.ts';
import { toolParsers } from './tools/index.ts';
import type { ToolParser, ToolSpec } from './tools/parser.ts';

/** The parsers of a model. */
export interface ModelParsers {
  readonly tools?: ToolParser;
  readonly reasoning?: ReasoningParser;
}

/** Markers with which a template opens a thought on the model's behalf. */
const openings: readonly string[] = ['<think>', '◁think▷', '<mm:think>', '[THINK]', '<|open|>think<|sep|>', '<|channel>thought'];

/** The parser called so, or undefined. */
export const toolParserOf = (name: string | undefined): ToolParser | undefined => named(toolParsers, name);

/** The parser called so, or undefined. */
export const reasoningParserOf = (name: string | undefined): ReasoningParser | undefined => named(reasoningParsers, name);

const named = <T>(parsers: Readonly<Record<string, T>>, name: string | undefined): T | undefined =>
  name !== undefined && Object.hasOwn(parsers, name) ? parsers[name] : undefined;

/** How to read the answers to a chat request; undefined where their text is passed on as it is. */
export function answerParserFor(request: ChatRequest, parsers: ModelParsers, prompt: string | undefined): AnswerParser | undefined {
  const { tools, reasoning } = parsers;
  if (tools === undefined && reasoning === undefined) return undefined;
  const choice = request.tool_choice ?? undefined;
  return answerParser({
    tools,
    reasoning,
    callable: choice === 'none' ? [] : (request.tools ?? []).map(({ function: { name, parameters } }): ToolSpec => ({ name, parameters })),
    ...(mustCall(request) ? { demanded: { name: typeof choice === 'object' ? choice.function.name : undefined } } : {}),
    thinking: thinkingOf(request, prompt),
  });
}

function thinkingOf(request: ChatRequest, prompt: string | undefined): ThinkingFacts {
  const args = templateArgs(request);
  const effort = args?.['reasoning_effort'];
  const end = prompt?.slice(-64).trimEnd();
  return {
    asked: asksThinking(args),
    effort: typeof effort === 'string' ? effort : undefined,
    promptOpens: end !== undefined && openings.some((opening) => end.endsWith(opening)),
  };
}
