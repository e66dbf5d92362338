import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { answerParser, type AnswerParser } from './answer-parser.ts';
import { parserContract, read } from './parser.contract.ts';
import { reasoningParsers } from './reasoning/index.ts';
import { toolParsers } from './tools/index.ts';

const callable = [{ name: 'f', parameters: { type: 'object', properties: { a: { type: 'string' }, l: { type: 'array' } } } }];

/** Every parser, alone; and pairs whose parsers meet in one text. */
const parsers: [string, AnswerParser][] = [
  ...distinct(toolParsers).map(([name, tools]): [string, AnswerParser] => [`tool ${name}`, of({ tools })]),
  ...distinct(toolParsers).map(([name, tools]): [string, AnswerParser] => [`demanded ${name}`, of({ tools, demanded: {} })]),
  ...['default', 'hermes', 'llama3_json', 'harmony', 'deepseek_v3', 'kimi_k25'].map((name): [string, AnswerParser] => [
    `in pieces ${name}`,
    of({ tools: toolParsers[name], pieces: true }),
  ]),
  ['demanded by name', of({ tools: toolParsers['hermes'], demanded: { name: 'f' } })],
  ...distinct(reasoningParsers).map(([name, reasoning]): [string, AnswerParser] => [`reasoning ${name}`, of({ reasoning })]),
  ...['qwen3_coder+nemotron3', 'deepseek_v41+deepseek_v41', 'inkling+inkling', 'harmony+gpt_oss', 'muse+muse', 'kimi_k3+kimi_k3'].map(
    (pair): [string, AnswerParser] => {
      const [tool = '', thought = ''] = pair.split('+');
      return [pair, of({ tools: toolParsers[tool], reasoning: reasoningParsers[thought] })];
    },
  ),
];

/** Each parser once, whatever names it has. */
function distinct<T>(registry: Readonly<Record<string, T>>): [string, T][] {
  return [...new Map(Object.entries(registry).map(([name, parser]): [T, string] => [parser, name]))].map(([parser, name]) => [name, parser]);
}

function of(options: Partial<Parameters<typeof answerParser>[0]>): AnswerParser {
  const parser = answerParser({ callable, thinking: { asked: true, effort: 'high' }, ...options });
  if (parser === undefined) throw new Error('nothing to read');
  return parser;
}

const m = ']<]minimax[>[';
const dsml = '｜DSML｜';
/** Pieces of every grammar, to be put together in any order. */
const pieces = [
  ...['<tool_call>', '</tool_call>', '<think>', '</think>', '<TOOLCALL>', '</TOOLCALL>', '<tool_calls>', '</tool_calls>', '<|python_tag|>'],
  ...[
    '[TOOL_CALLS]',
    '[/TOOL_CALLS]',
    'functools',
    '[',
    ']',
    '{',
    '}',
    '(',
    ')',
    '"',
    "'",
    '\\\\',
    ',',
    ';',
    ':',
    '<',
    '>',
    '|',
    '\n',
    ' ',
    'to=',
    'f',
    'a',
    '1',
    'é',
    '😀',
  ],
  ...['<function=f>', '</function>', '<parameter=a>', '</parameter>', '<arg_key>', '</arg_key>', '<arg_value>', '</arg_value>'],
  ...['{"name": "f", "arguments": {"a": "b"}}', '[{"name":"f","parameters":{"l":[1]}}]', '{"name": "f"', '"arguments": {', '[f(a="b")]', '[f(', 'a='],
  ...[
    '<|tool_calls_section_begin|>',
    '<|tool_call_begin|>',
    'functions.f:0',
    '<|tool_call_argument_begin|>',
    '<|tool_call_end|>',
    '<|tool_calls_section_end|>',
  ],
  ...['<｜tool▁calls▁begin｜>', '<｜tool▁call▁begin｜>', '<｜tool▁sep｜>', '<｜tool▁call▁end｜>', '<｜tool▁calls▁end｜>', '```json\n'],
  ...[
    `<${dsml}tool_calls>`,
    `<${dsml}invoke name="f">`,
    `<${dsml}parameter name="a" string="true">`,
    `</${dsml}parameter>`,
    `</${dsml}invoke>`,
    `</${dsml}tool_calls>`,
  ],
  ...['<minimax:tool_call>', '<invoke name="f">', '<parameter name="a">', '</invoke>', '</minimax:tool_call>', '<mm:think>', '</mm:think>'],
  ...[m, `${m}<tool_call>`, `${m}<invoke name="f">`, `${m}<a>`, `${m}</a>`, `${m}</invoke>`, `${m}</tool_call>`],
  ...['<|tool_call>', 'call:f{', 'a:<|"|>', '<tool_call|>', '<|channel>', 'thought\n', '<channel|>', '[THINK]', '[/THINK]', '◁think▷', '◁/think▷'],
  ...['<|content_thinking|>', '<|content_text|>', '<|content_invoke_tool_json|>', '<|end_message|>', '<|message_model|>'],
  ...['<|open|>', '<|close|>', '<|sep|>', 'think', 'tools', 'call tool="f" index="1"', 'argument key="a" type="string"', 'response'],
  ...[
    '<|start|>',
    'assistant',
    '<|channel|>',
    'analysis',
    'commentary',
    'final',
    '<|constrain|>',
    '<|message|>',
    '<|call|>',
    '<|end|>',
    '<|eom|>',
    ' to=self',
    ' to=f',
  ],
  ...[
    '<atem:invoke name="f">',
    '<atem:parameter name="a">',
    '</atem:parameter>',
    '</atem:invoke>',
    'Here is my thought process:',
    'Here is my response:',
  ],
];

describe('any text made of every grammar', () => {
  test.each(parsers)('%s', (_name, parser) => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 10 }), (parts) => parserContract(parser, parts.join(''))),
      { numRuns: 15 },
    );
  });
});

describe('any text at all', () => {
  test.each(parsers)('%s', (_name, parser) => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme', maxLength: 12 }), { maxLength: 8 }), (parts) => {
        expect(read(parser, parts)).toEqual(read(parser, [parts.join('')]));
      }),
      { numRuns: 60 },
    );
  });
});

const times = (unit: string, size: number = 1 << 17): string => unit.repeat(Math.ceil(size / unit.length));

/** 128 KiB each, which would take a test's whole time and more if anything in it were looked at again and again. */
const hostile: [string, string][] = [
  ['no marker', times('word ')],
  ['nothing but space', times(' ')],
  ['beginnings of markers', times('<')],
  ['almost markers', times('<tool_cal <think <|open| [TOOL_CALL ')],
  ['nested openings', times('<tool_call>')],
  ['nested thoughts', times('<think>')],
  ['nested lists', times('[')],
  ['nested objects', times('{"name":')],
  ['braces', times('{')],
  ['one long text in a call', `<tool_call>{"name":"f","arguments":{"a":"${times('x')}`],
  ['one long text in a bare call', `{"name":"f","arguments":{"a":"${times('x')}`],
  ['one long parameter', `<tool_call><function=f><parameter=a>${times('<par')}`],
  ['parameters without end', `<tool_call><function=f>${times('<parameter=a>b')}</function></tool_call>`],
  ['tags without end', `${m}<tool_call>${m}<invoke name="f">${times(`${m}<a>`)}${m}</invoke>${m}</tool_call>`],
  ['a list of Python calls without end', `[f(${times('a=[')}`],
  ['quotes', times('"\\\\"')],
  ['headers', times(' to=')],
  ['channels', times('<|channel|>')],
  ['a call with a long gap', `<tool_call>{"name":"f","arguments":{}}${times('\n')}`],
  ['many calls', times('<tool_call>{"name":"f","arguments":{}}</tool_call>')],
];

function* cut(text: string, length: number): Generator<string> {
  for (let at = 0; at < text.length; at += length) yield text.slice(at, at + length);
}

describe('text that means harm', () => {
  test.each(parsers)('%s', (_name, parser) => {
    for (const [what, text] of hostile) {
      const whole = read(parser, [text]);
      const pieces = read(parser, cut(text, 61));
      const same = pieces.content === whole.content && pieces.reasoning === whole.reasoning && pieces.calls.length === whole.calls.length;
      expect(same, what).toBe(true);
    }
  });
});

/** How much of a text without markers may wait: MiniMax M3 does not know yet whether it is a thought, and a demanded call may still come. */
const waiting = (name: string): number => (name === 'reasoning minimax-m3' ? 1 << 18 : name.startsWith('demanded') ? 1 << 20 : 1_100);

describe('of a megabyte without markers next to nothing waits', () => {
  test.each(parsers)('%s', (name, parser) => {
    const text = times('word ', 1 << 20);
    const shown = read(parser, cut(text, 61), { cut: true });
    expect(text.length - shown.content.length - shown.reasoning.length).toBeLessThan(waiting(name) + 100);
  });
});
