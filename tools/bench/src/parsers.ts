import { answerParser, modelParsers, parseAnswer, reasoningParsers, toolParsers } from '@dynamo/llm/internal';
import { median } from './median.ts';

/** Chunks in one push, as a burst brings them. */
const batch = 16;
const rounds = 5;
const words = ['The ', 'answer', ' is ', 'that ', 'of', ' a ', 'model', ', in ', 'words', ' of ', 'some', ' length.'];

/** What the parsers of a model are called. */
interface Names {
  readonly toolParser?: string;
  readonly reasoningParser?: string;
}

/** Measures what the parser stage takes for a chunk of ordinary text, in microseconds: each tool parser, each reasoning parser, and pairs. */
export function parsers({ chunks }: { chunks: number }): void {
  const lanes: [string, Names][] = [
    ...distinct(toolParsers).map((toolParser): [string, Names] => [`tools: ${toolParser}`, { toolParser }]),
    ...distinct(reasoningParsers).map((reasoningParser): [string, Names] => [`thoughts: ${reasoningParser}`, { reasoningParser }]),
    ['both: hermes and qwen3', { toolParser: 'hermes', reasoningParser: 'qwen3' }],
    ['both: harmony and gpt_oss', { toolParser: 'harmony', reasoningParser: 'gpt_oss' }],
    ['both: deepseek_v41', { toolParser: 'deepseek_v41', reasoningParser: 'deepseek_v41' }],
  ];
  console.log('| stage | answer | thought |\n|---|---:|---:|');
  for (const [lane, names] of lanes) {
    const answer = time(names, '', chunks);
    const thought = names.reasoningParser === undefined ? undefined : time(names, openings[names.reasoningParser] ?? '<think>', chunks);
    console.log(`| ${lane} | ${answer.toFixed(3)} | ${thought === undefined ? '' : thought.toFixed(3)} |`);
  }
}

/** How a thought begins, where that is not `<think>`. */
const openings: Readonly<Record<string, string>> = {
  gpt_oss: '<|channel|>analysis<|message|>',
  muse_glimmer: ' to=self<|message|>',
  inkling: '<|content_thinking|>',
  'kimi-k3': '<|open|>think<|sep|>',
  kimi: '◁think▷',
  granite: 'Here is my thought process:',
  'minimax-m3': '<mm:think>',
  mistral: '[THINK]',
  'gemma-4': '<|channel>thought\n',
};

/** One name of each parser. */
const distinct = (registry: Readonly<Record<string, unknown>>): string[] => [
  ...new Map(Object.entries(registry).map(([name, parser]): [unknown, string] => [parser, name])).values(),
];

/** Microseconds a chunk, behind an opening. */
function time(names: Names, opening: string, count: number): number {
  const parser = answerParser({ ...modelParsers(names), callable: [{ name: 'f' }], thinking: { asked: true, effort: 'high' } });
  if (parser === undefined) throw new Error(`no parser of ${JSON.stringify(names)}`);
  const batches = Array.from({ length: 64 }, (_batch, at) =>
    Array.from({ length: batch }, (_chunk, index) => ({ tokenIds: [index], text: words[(at + index) % words.length] as string })),
  );
  const took: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    const run = parseAnswer(parser)();
    if (opening !== '') run.push([{ tokenIds: [1], text: opening }]);
    const start = process.hrtime.bigint();
    let seen = 0;
    for (let at = 0; seen < count; at++) seen += run.push(batches[at % batches.length] ?? []).length;
    // The first round warms up.
    if (round > 0) took.push(Number(process.hrtime.bigint() - start) / 1_000 / seen);
  }
  return median(took);
}
