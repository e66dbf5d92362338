import { DynamoError } from '@dynamo/runtime';
import { compile, type Render } from './jinja/compile.ts';

/** A chat template, compiled once a model. */
export interface ChatTemplate {
  /** True when the template walks the parts of a message's content itself; else parts of text are joined with a newline first. */
  readonly takesContentParts: boolean;
  /** True when the template reads `reasoning_content`; else reasoning goes into the content of the message. */
  readonly readsReasoning: boolean;
  /** True when the template prints a call's arguments as their JSON text; else it gets them as an object. */
  readonly takesArgumentText: boolean;
  /**
   * Renders with Jinja2's semantics as HF transformers sets them (spec llm 4).
   *
   * @throws DynamoError `invalid_argument` when the template raises.
   */
  render(variables: Readonly<Record<string, unknown>>): string;
}

/** The special tokens that templates read; one that a model does not have is None. */
export interface TemplateTokens {
  readonly bosToken?: string;
  readonly eosToken?: string;
  readonly unkToken?: string;
}

/**
 * Compiles a chat template.
 *
 * @throws DynamoError `invalid_argument` on a template that can't be read: the model can't serve chats.
 */
export function compileChatTemplate(source: string, tokens: TemplateTokens = {}, options: { now?: () => Date } = {}): ChatTemplate {
  const render = withTokens(compiled(source, options), tokens);
  return {
    takesContentParts: detectsContentParts(render),
    readsReasoning: source.includes('reasoning_content'),
    takesArgumentText: source.includes('arguments is string') && printsArgumentText(render),
    render(variables) {
      try {
        return render(variables);
      } catch (cause) {
        throw new DynamoError('invalid_argument', 'Invalid request', { cause, data: { public: { type: 'message', message: 'Invalid request' } } });
      }
    },
  };
}

function compiled(source: string, options: { now?: () => Date }): Render {
  try {
    return compile(source, options);
  } catch (cause) {
    throw new DynamoError('invalid_argument', `the chat template can't be read: ${(cause as Error).message}`, { cause });
  }
}

function withTokens(render: Render, { bosToken, eosToken, unkToken }: TemplateTokens): Render {
  const tokens = { bos_token: bosToken ?? null, eos_token: eosToken ?? null, unk_token: unkToken ?? null };
  return (variables) => render({ ...variables, ...tokens });
}

const probeText = 'template_test';

/** What a template makes of one message, or nothing when it fails. */
function probe(render: Render, message: Readonly<Record<string, unknown>>): string {
  try {
    return render({ messages: [message], tools: null, add_generation_prompt: false });
  } catch {
    return '';
  }
}

/** A template takes parts when it prints the text of a part but not a content that is text (observed in 1.6.1). */
function detectsContentParts(render: Render): boolean {
  const user = (content: unknown): string => probe(render, { role: 'user', content });
  return user([{ type: 'text', text: probeText }]).includes(probeText) && !user(probeText).includes(probeText);
}

/** Observed in 1.6.1: naming `arguments is string` is not enough, the text must come out as it went in. */
function printsArgumentText(render: Render): boolean {
  const text = '{"probe": "value"}';
  const call = { id: 'call_0', type: 'function', function: { name: 'probe', arguments: text } };
  return probe(render, { role: 'assistant', content: '', tool_calls: [call] }).includes(text);
}

/** What a model's folder says about its template. */
export interface TemplateFiles {
  /** The content of `tokenizer_config.json`, parsed. */
  readonly tokenizerConfig: unknown;
  /** The text of `chat_template.jinja` or of a template of the operator's own; it wins. */
  readonly chatTemplate?: string | undefined;
}

/**
 * Chooses and compiles a model's template (spec llm 4): the template file, else `chat_template` of
 * `tokenizer_config.json`. Of a list, `tool_use` renders requests with tools and `default` all others.
 *
 * Undefined when the model has no template.
 *
 * @throws DynamoError `invalid_argument` on a template that can't be read.
 */
export function chatTemplateFromFiles({ tokenizerConfig, chatTemplate }: TemplateFiles): ChatTemplate | undefined {
  const config = record(tokenizerConfig);
  const given = chatTemplate ?? config['chat_template'];
  const tokens = tokensOf(config);
  if (typeof given === 'string') return compileChatTemplate(given, tokens);
  const named = namedTemplates(given);
  const plain = named.get('default') ?? [...named.values()][0];
  if (plain === undefined) return undefined;
  const usual = compileChatTemplate(plain, tokens);
  const withTools = named.get('tool_use');
  return withTools === undefined ? usual : byTools(usual, compileChatTemplate(withTools, tokens));
}

/** Messages are brought into the form of the usual template: a list's templates belong to one model. */
function byTools(usual: ChatTemplate, withTools: ChatTemplate): ChatTemplate {
  return {
    takesContentParts: usual.takesContentParts,
    readsReasoning: usual.readsReasoning || withTools.readsReasoning,
    takesArgumentText: withTools.takesArgumentText,
    render: (variables) => (Array.isArray(variables['tools']) && variables['tools'].length > 0 ? withTools : usual).render(variables),
  };
}

/** Both forms of a list: `[{ name, template }]`, as transformers writes it, and `[{ default: … , tool_use: … }]`, as 1.6.1 reads it. */
function namedTemplates(given: unknown): ReadonlyMap<string, string> {
  const named = new Map<string, string>();
  for (const entry of Array.isArray(given) ? given.map(record) : [record(given)]) {
    const { name, template } = entry;
    if (typeof name === 'string' && typeof template === 'string') named.set(name, template);
    else for (const [key, value] of Object.entries(entry)) if (typeof value === 'string') named.set(key, value);
  }
  return named;
}

function tokensOf(config: Readonly<Record<string, unknown>>): TemplateTokens {
  const token = (name: string): string | undefined => {
    const value = config[name];
    const text = typeof value === 'string' ? value : record(value)['content'];
    return typeof text === 'string' ? text : undefined;
  };
  const [bosToken, eosToken, unkToken] = [token('bos_token'), token('eos_token'), token('unk_token')];
  return {
    ...(bosToken === undefined ? {} : { bosToken }),
    ...(eosToken === undefined ? {} : { eosToken }),
    ...(unkToken === undefined ? {} : { unkToken }),
  };
}

const record = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
