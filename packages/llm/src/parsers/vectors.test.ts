import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { ChatRequest } from '../openai/chat.ts';
import type { AnswerParser } from './answer-parser.ts';
import { differences } from './testing/differences.ts';
import { answerParserFor, reasoningParserOf, toolParserOf } from './for-request.ts';
import { reasoningParsers } from './reasoning/index.ts';
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
  request: Partial<ChatRequest>;
  engine_finish_reason: string;
  chunkings: Record<string, { unary: Unary | 'same_as_whole'; stream: Streamed | 'same_as_whole' }>;
}

const toolNames = Object.keys(toolParsers);
const reasoningNames = Object.keys(reasoningParsers);
const folder = new URL('../../../../vectors/llm/parsers/', import.meta.url);

const cases: [string, Case][] = readdirSync(folder)
  .toSorted()
  .flatMap((file) =>
    (JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as Case[]).map((row): [string, Case] => [
      `${file.replace('.json', '')}/${row.name}`,
      row,
    ]),
  );

/** The model's template opens a thought where it is asked to. */
const promptOf = ({ request }: Case): string => (request.chat_template_kwargs?.['inject_think'] === true ? 'assistant\n<think>\n' : 'assistant\n');

function parserOf(row: Case): AnswerParser | undefined {
  const tools = toolParserOf(row.parser.tool);
  const reasoning = reasoningParserOf(row.parser.reasoning);
  const { chat_template_kwargs: args, ...request } = row.request;
  return answerParserFor(
    { messages: [], model: 'm', ...request, ...(args === undefined ? {} : { chat_template_args: args }) } as unknown as ChatRequest,
    { ...(tools === undefined ? {} : { tools }), ...(reasoning === undefined ? {} : { reasoning }) },
    promptOf(row),
  );
}

/** Ids are random but for those that the model gives. */
const normal = (id: string): string =>
  id.replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/, '<uuid>').replace(/^call_[0-9a-f]+$/, 'call_<hex>');
const plain = (found: Found): Found => ({ ...found, calls: found.calls.map((call) => ({ ...call, id: normal(call.id) })) });

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
const answered = cases.filter(([, row]) => (row.chunkings['whole']?.unary as Unary).error === undefined);

describe('every captured answer', () => {
  test.each(answered)('%s', (name, row) => {
    const found = plain(read(parserOf(row), [row.text]));
    const listed = differences.filter(({ vectors }) => vectors.test(name));
    for (const chunking of ['whole', 'per_token'] as const) {
      const wrong = listed.filter(({ chunkings }) => chunkings.includes(chunking));
      const same = captured(row, chunking).map((given) => JSON.stringify(given) === JSON.stringify(found));
      if (wrong.length === 0) for (const given of captured(row, chunking)) expect(found, chunking).toEqual(given);
      else expect(same, `${chunking}: the difference is gone, or not one`).toContain(false);
    }
  });
  test('all of them', () => expect(cases).toHaveLength(1080));
  test.each(differences)('a difference that exists: $reason', ({ vectors }) => expect(answered.some(([name]) => vectors.test(name))).toBe(true));
});

/** One of each: many names share a parser. */
const distinct = [
  ...new Map(
    answered.map((entry): [string, (typeof cases)[number]] => {
      const { parser, text, request } = entry[1];
      const which = [
        toolNames.findIndex((name) => toolParserOf(name) === toolParserOf(parser.tool)),
        reasoningParserOf(parser.reasoning) && reasoningNames.findIndex((name) => reasoningParserOf(name) === reasoningParserOf(parser.reasoning)),
      ];
      return [JSON.stringify([which, text, request]), entry];
    }),
  ).values(),
];

describe('however it is cut', () => {
  test.each(distinct)('%s', (_name, row) => parserContract(fixed(parserOf(row)), row.text));
});

/** Ids must not differ from run to run where whole results are compared. */
function fixed(parser: AnswerParser | undefined): AnswerParser | undefined {
  if (parser === undefined) return undefined;
  return {
    ...parser,
    start: () => {
      const run = parser.start();
      const same = (events: ReturnType<typeof run.push>): ReturnType<typeof run.push> =>
        events.map((event) => (event.type === 'tool-call-start' ? { ...event, id: normal(event.id) } : event));
      return {
        push: (text) => same(run.push(text)),
        end: () => same(run.end()),
        get inside() {
          return run.inside;
        },
      };
    },
  };
}
