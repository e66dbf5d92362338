import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { ChatRequest } from '../openai/chat.ts';
import type { AnswerParser } from './answer-parser.ts';
import { differences } from './testing/differences.ts';
import { templateVariables } from '../template/variables.ts';
import { answerParserFor, modelParsers } from './for-request.ts';
import { reasoningParsers } from './reasoning/index.ts';
import type { ReasoningParser } from './reasoning/parser.ts';
import type { ToolParser } from './tools/parser.ts';
import { toolParsers } from './tools/index.ts';
import { type Found, parserContract, read } from './parser.contract.ts';

interface Unary {
  message?: { content: string | null; reasoning_content?: string; tool_calls?: { id: string; function: { name: string; arguments: string } }[] };
  error?: unknown;
}
interface Streamed {
  content: string;
  reasoning_content: string;
  tool_calls: Found['calls'];
}
interface Case {
  name: string;
  parser: { tool?: string; reasoning?: string };
  text: string;
  request: Partial<ChatRequest> & { chat_template_kwargs?: Readonly<Record<string, unknown>> };
  engine_finish_reason: string;
  chunkings: Record<string, { unary: Unary | 'same_as_whole'; stream: Streamed | 'same_as_whole' }>;
}

const folder = new URL('../../../../vectors/llm/parsers/', import.meta.url);

const cases: [string, Case][] = readdirSync(folder)
  .toSorted()
  .flatMap((file) =>
    (JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as Case[]).map((row): [string, Case] => [
      `${file.replace('.json', '')}/${row.name}`,
      row,
    ]),
  );

/** More answers that were sent through the running 1.6.1 while the parsers were built, whole and cut at markers. */
const more: [string, Case][] = (() => {
  const [{ tools }, ...rows] = readFileSync(new URL('testing/captured-1.6.1.ndjson', import.meta.url), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  return rows.map(({ name, tool, reasoning, text, request, whole, per_token: perToken = whole }): [string, Case] => {
    const of = (found: Found): Case['chunkings'][string] => ({
      unary: {
        message: {
          content: found.content,
          reasoning_content: found.reasoning,
          tool_calls: found.calls.map(({ id, name: called, arguments: args }) => ({ id, function: { name: called, arguments: args } })),
        },
      },
      stream: { content: found.content, reasoning_content: found.reasoning, tool_calls: found.calls },
    });
    const row = { name, parser: { tool, reasoning }, text, request: { tools, ...request }, chunkings: { whole: of(whole), per_token: of(perToken) } };
    return [`more_${tool}${reasoning === undefined ? '' : `+${reasoning}`}/${name}`, { ...row, engine_finish_reason: 'stop' }];
  });
})();

/** The model's template opens a thought where it is asked to. */
const promptOf = ({ request }: Case): string => (request.chat_template_kwargs?.['inject_think'] === true ? 'assistant\n<think>\n' : 'assistant\n');

function parserOf(row: Case, pieces = false): AnswerParser | undefined {
  const { chat_template_kwargs: args, ...rest } = row.request;
  const { tool: toolParser, reasoning: reasoningParser } = row.parser;
  const request = { messages: [], model: 'm', ...rest, ...(args === undefined ? {} : { chat_template_args: args }) } as unknown as ChatRequest;
  return answerParserFor(request, modelParsers({ toolParser, reasoningParser }), {
    variables: templateVariables(request, { reasoningParser }),
    prompt: promptOf(row),
    pieces,
  });
}

const unaryFound = ({ message }: Unary): Found => ({
  content: message?.content ?? '',
  reasoning: message?.reasoning_content ?? '',
  calls: (message?.tool_calls ?? []).map(({ id, function: { name, arguments: args } }) => ({ id, name, arguments: args })),
});
const streamFound = (stream: Streamed): Found => ({ content: stream.content, reasoning: stream.reasoning_content, calls: stream.tool_calls });

/** What 1.6.1 gave for a chunking, whole and streamed. */
function captured(row: Case, chunking: string): Found[] {
  const { whole } = row.chunkings;
  const own = row.chunkings[chunking];
  return [
    unaryFound((own?.unary === 'same_as_whole' ? whole?.unary : own?.unary) as Unary),
    streamFound((own?.stream === 'same_as_whole' ? whole?.stream : own?.stream) as Streamed),
  ];
}

/** A request that is refused never reaches a parser. */
const answered = [...cases, ...more].filter(([, { chunkings }]) => (chunkings['whole'] as { unary: Unary }).unary.error === undefined);

describe('every captured answer', () => {
  test.each(answered)('%s', (name, row) => {
    const found = read(parserOf(row), [row.text]);
    const listed = differences.filter(({ vectors }) => vectors.test(name));
    for (const chunking of ['whole', 'per_token'] as const) {
      const wrong = listed.filter(({ chunkings }) => chunkings.includes(chunking));
      const same = captured(row, chunking).map((given) => JSON.stringify(given) === JSON.stringify(found));
      if (wrong.length === 0) for (const given of captured(row, chunking)) expect(found, chunking).toEqual(given);
      else expect(same, `${chunking}: the difference is gone, or not one`).toContain(false);
    }
  });
  test('all of them', () => expect([cases.length, more.length]).toEqual([1080, 274]));
  test.each(differences)('a difference that exists: $reason', ({ vectors }) => expect(answered.some(([name]) => vectors.test(name))).toBe(true));
});

/** One of each: many names share a parser. */
const distinct = [
  ...new Map(
    answered.map((entry): [string, (typeof cases)[number]] => {
      const { parser, text, request } = entry[1];
      const tools = Object.values(toolParsers).indexOf(toolParsers[parser.tool ?? ''] as ToolParser);
      const reasoning = Object.values(reasoningParsers).indexOf(reasoningParsers[parser.reasoning ?? ''] as ReasoningParser);
      return [JSON.stringify([tools, reasoning, text, request]), entry];
    }),
  ).values(),
];

describe('however it is cut', () => {
  test.each(distinct)('%s', (_name, row) => parserContract(parserOf(row), row.text));
});

describe('arguments as they come', () => {
  const isBroken = ({ broken }: { broken?: boolean }): boolean => broken === true;
  const reading = answered.filter(([, { parser }]) => parser.tool !== undefined);
  test.each(reading)('%s', (_name, row) => {
    const parser = parserOf(row, true);
    const found = read(parser, [row.text]);
    const whole = read(parserOf(row), [row.text]);
    if (!found.calls.some(isBroken)) return expect(found).toEqual(whole);
    for (const { arguments: text } of found.calls.filter(isBroken)) expect(() => JSON.parse(text)).toThrow();
    expect(found.calls.filter((call) => !isBroken(call))).toEqual(whole.calls.slice(0, found.calls.length - 1));
  });
  test.each(distinct.filter(([, { parser }]) => parser.tool !== undefined))('%s, however it is cut', (_name, row) =>
    parserContract(parserOf(row, true), row.text),
  );
  test('only what is cut off or no JSON breaks', () => {
    const broken = reading.filter(([, row]) => read(parserOf(row, true), [row.text]).calls.some(isBroken)).map(([name]) => name);
    const reasons = /\/(truncated|truncated_tool|garbage_inside|newline in string|trailing comma)$/;
    expect(broken.filter((name) => !reasons.test(name))).toEqual([]);
    expect(broken.length).toBe(19);
  });
  test('in every family whose models write them as a JSON object', () => {
    const free = reading.filter(
      ([
        ,
        {
          request: { tool_choice: choice },
        },
      ]) => choice !== 'required' && typeof choice !== 'object',
    );
    const inPieces = free.filter(([, row]) => deltas(parserOf(row, true), row.text) > read(parserOf(row), [row.text]).calls.length);
    const json = ['default', 'hermes', 'jamba', 'llama3_json', 'mistral', 'nemotron_deci', 'phi4', 'qwen25'];
    const named = [...json, 'deepseek_v3', 'deepseek_v3_1', 'harmony', 'kimi_k2', 'kimi_k25'];
    expect(new Set(inPieces.map(([, { parser }]) => parser.tool))).toEqual(new Set(named));
  });
});

/** How many pieces of arguments come where each character does by itself. */
function deltas(parser: AnswerParser | undefined, text: string): number {
  const run = parser?.start();
  if (run === undefined) return 0;
  const events = [...text.split('').flatMap((char) => run.push(char)), ...run.end()];
  return events.filter(({ type }) => type === 'tool-call-delta').length;
}
