/**
 * What the names of a model's parsers say about its requests. Observed in 1.6.1 by sending the same request to a model of
 * each parser; unknown names behave as `basic`.
 */
interface ParserNames {
  readonly toolParser?: string;
  readonly reasoningParser?: string;
}

/** Parsers that find their markers among the special tokens: those must not be skipped unless the client asks for it. */
const special = {
  tool: new Set([
    'deepseek_v41',
    'gemma4',
    'gemma-4',
    'harmony',
    'inkling',
    'kimi_k2',
    'kimi_k3',
    'kimi-k3',
    'minimax_m3',
    'minimax-m3',
    'muse',
    'muse_glimmer',
  ]),
  reasoning: new Set([
    'deepseek_v41',
    'gemma4',
    'gemma-4',
    'gpt_oss',
    'inkling',
    'kimi_k25',
    'kimi_k3',
    'kimi-k3',
    'minimax_m3',
    'minimax-m3',
    'mistral',
    'muse',
    'muse_glimmer',
  ]),
};

/** Whether a parser of the model reads special tokens. */
export const needsSpecialTokens = ({ toolParser, reasoningParser }: ParserNames): boolean =>
  (toolParser !== undefined && special.tool.has(toolParser)) || (reasoningParser !== undefined && special.reasoning.has(reasoningParser));

/** When a model of a reasoning parser thinks. */
type Thinking = 'always' | 'unless-off' | 'if-asked' | 'by-effort';

const thinking: ReadonlyMap<string, Thinking> = new Map<string, Thinking>([
  ...['deepseek_r1', 'kimi', 'step3'].map((name) => [name, 'always'] as const),
  ...[
    'deepseek_v3_2',
    'deepseek_v4',
    'deepseek-v4',
    'deepseekv4',
    'deepseek_v41',
    'glm45',
    'kimi_k25',
    'kimi_k3',
    'kimi-k3',
    'minimax_m2',
    'minimax_m3',
    'minimax-m3',
    'nemotron3',
    'nemotron_nano',
    'nemotron_v3',
    'qwen3',
  ].map((name) => [name, 'unless-off'] as const),
  ...['deepseek_v3', 'deepseek_v3_1', 'gemma4', 'gemma-4'].map((name) => [name, 'if-asked'] as const),
  ['mistral', 'by-effort'],
]);

/** Whether the model will think in this request: `asked` is what the template's arguments say about it. */
export function reasons(parser: string | undefined, asked: boolean | undefined, effort: string | undefined): boolean {
  switch (parser === undefined ? undefined : thinking.get(parser)) {
    case 'always':
      return true;
    case 'unless-off':
      return asked !== false;
    case 'if-asked':
      return asked === true;
    case 'by-effort':
      return effort !== undefined && effort !== 'none';
    default:
      return false;
  }
}
