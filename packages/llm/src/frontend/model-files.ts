import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DynamoError } from '@dynamo/runtime';
import { hashBytes } from '../model/checksum.ts';
import { surfacesOf } from '../model/surfaces.ts';
import type { CardFile, WireCard } from '../model/wire-card.ts';
import { type ChatTemplate, chatTemplateFromFiles, type TemplateFiles } from '../template/chat-template.ts';
import { loadTokenizer } from '../tokenizer/index.ts';
import { type LongTextEncoder, longTextEncoder } from '../tokenizer/long-text.ts';
import { countTokens, vocabularyOf } from '../tokenizer/vocabulary-size.ts';
import { type Surroundings, surroundingsOf } from '../tokenizer/surroundings.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { ModelFiles } from './serving-model.ts';

/** Where a file may be when its own path can't be read here. */
export interface FileSources {
  /** A folder with files of the same base names (`--model-path` of a frontend, spec llm 1.3). */
  readonly modelPath?: string;
  /** Fetches a model of the hub, for cards whose files are `hf://`; by default with the variables of the environment. */
  readonly fetch?: (model: string) => Promise<string>;
}

/** Loads what cards point to, and keeps what several models share. Disposing ends its threads. */
export interface ModelFileStore extends AsyncDisposable {
  load(card: WireCard): Promise<ModelFiles>;
}

interface Encoders {
  readonly tokenizer: Tokenizer;
  readonly long: LongTextEncoder;
  readonly around: Surroundings;
  /** How many tokens the tokenizer has, those that were added to it among them. */
  readonly size: number;
}

/** Tokenizers are large: models with the same tokenizer file share one. */
export function modelFileStore(sources: FileSources = {}): ModelFileStore {
  const shared = new Map<string, WeakRef<Encoders>>();
  const threads = new AsyncDisposableStack();
  const read = (file: CardFile): Promise<Buffer> => readVerified(file, sources);

  async function encodersOf(card: WireCard, config: unknown): Promise<Encoders> {
    const file = card.tokenizer?.hf_tokenizer_json;
    if (file === undefined)
      throw new DynamoError('not_implemented', `model '${card.display_name}' has no tokenizer.json, the only form that is read in this version`);
    const key = `${file.checksum} ${card.prompt_formatter?.hf_tokenizer_config_json.checksum ?? ''}`;
    const present = shared.get(key)?.deref();
    if (present !== undefined) return present;
    const json = parse(await read(file), file);
    const tokenizer = loadTokenizer(json, config);
    const long = threads.use(longTextEncoder(async () => ({ tokenizer: (await read(file)).toString('utf8'), config: JSON.stringify(config) })));
    const encoders = { tokenizer, long, around: surroundingsOf(json), size: countTokens(json) };
    shared.set(key, new WeakRef(encoders));
    return encoders;
  }

  return {
    async load(card) {
      const configFile = card.prompt_formatter?.hf_tokenizer_config_json;
      const config = configFile === undefined ? {} : parse(await read(configFile), configFile);
      const templateFile = card.chat_template_file?.hf_chat_template.file;
      const templateText = templateFile === undefined ? undefined : (await read(templateFile)).toString('utf8');
      const chats = surfacesOf(card.model_type).includes('chat');
      const encoders = await encodersOf(card, config);
      // Kept whole: others find them as long as somebody holds them.
      const encode = (text: string): readonly number[] | Promise<readonly number[]> =>
        text.length < encoders.tokenizer.inlineLimit ? encoders.tokenizer.encode(text) : encoders.long.encode(text);
      const whole = (ids: readonly number[]): readonly number[] => [...encoders.around.before, ...ids, ...encoders.around.after];
      return {
        tokenizer: encoders.tokenizer,
        encode,
        encodeWhole(text) {
          const ids = encode(text);
          return ids instanceof Promise ? ids.then(whole) : whole(ids);
        },
        template: chats
          ? templateOf(card, { tokenizerConfig: config, ...(templateText === undefined ? {} : { chatTemplate: templateText }) })
          : undefined,
        eosTokenIds: await eosOf(card, read),
        ...(await imageTokenOf(card, read)),
        vocabularySize: Math.max(encoders.size, (await configuredVocabulary(card, read)) ?? 0),
      };
    },
    [Symbol.asyncDispose]: () => threads.disposeAsync(),
  };
}

/** A model that offers chat is not there until it has a template (spec llm 1.6). */
function templateOf(card: WireCard, files: TemplateFiles): ChatTemplate {
  const template = chatTemplateFromFiles(files);
  if (template !== undefined) return template;
  throw new DynamoError('not_found', `model '${card.display_name}' offers chat and has no chat template: tokenizer_config.json has no chat_template`);
}

/** Checkpoints pad their vocabulary, and engines take every id of it: the larger of its size and the tokenizer's counts (observed in 1.6.1). */
async function configuredVocabulary(card: WireCard, read: (file: CardFile) => Promise<Buffer>): Promise<number | undefined> {
  const file = card.model_info?.hf_config_json;
  return file === undefined ? undefined : vocabularyOf(parse(await read(file), file));
}

/** Media-aware routing needs to know how the model takes images apart, so a card without that file has no image token (spec multimodal 5). */
async function imageTokenOf(card: WireCard, read: (file: CardFile) => Promise<Buffer>): Promise<{ imageTokenId?: number }> {
  const file = card.model_info?.hf_config_json;
  const takesImages = card.extra_files?.some(({ path }) => baseName(path) === 'preprocessor_config.json') === true;
  if (file === undefined || !takesImages) return {};
  const { image_token_id: id, image_token_index: index } = parse(await read(file), file) as { image_token_id?: unknown; image_token_index?: unknown };
  const token = id ?? index;
  return typeof token === 'number' ? { imageTokenId: token } : {};
}

async function eosOf(card: WireCard, read: (file: CardFile) => Promise<Buffer>): Promise<readonly number[]> {
  for (const file of [card.gen_config?.hf_generation_config_json, card.model_info?.hf_config_json]) {
    if (file === undefined) continue;
    const { eos_token_id: eos } = parse(await read(file), file) as { eos_token_id?: number | number[] | null };
    if (typeof eos === 'number') return [eos];
    if (Array.isArray(eos) && eos.length > 0) return eos;
  }
  return [];
}

/** Reads a card's file where it is, or its namesake in the model folder, or over HTTP from a worker that hosts it; checks its hash. */
async function readVerified(file: CardFile, sources: FileSources): Promise<Buffer> {
  const bytes = await locate(file, sources);
  const expected = file.checksum.replace(/^blake3:/, '');
  const actual = await hashBytes(bytes);
  if (actual !== expected)
    throw new DynamoError('invalid_argument', `${file.path} has changed since its card was published: expected blake3 ${expected}, found ${actual}`, {
      data: { path: file.path, expected, actual },
    });
  return bytes;
}

/** Largest file that is taken from a worker; tokenizers have tens of megabytes. */
const maxFileBytes = 512 * 1024 * 1024;

async function locate(file: CardFile, { modelPath, fetch: fetched = fromHub }: FileSources): Promise<Buffer> {
  if (/^https?:\/\//.test(file.path)) return download(file);
  const beside = modelPath === undefined ? [] : [join(modelPath, baseName(file.path))];
  const hub = /^hf:\/\/(.+)\/[^/]+$/.exec(file.path)?.[1];
  const attempts = hub === undefined ? [file.path, ...beside] : beside;
  let cause: unknown;
  for (const path of attempts) {
    try {
      return await readFile(path);
    } catch (error) {
      cause = error;
    }
  }
  if (hub !== undefined) return readFile(join(await fetched(hub), baseName(file.path)));
  throw new DynamoError('not_found', `can't read ${attempts.join(' or ')}`, { cause, data: { path: file.path } });
}

async function fromHub(model: string): Promise<string> {
  const { fetchModel, hubPlace } = await import('../hub/index.ts');
  return fetchModel(model, hubPlace(process.env));
}

/** Takes a file from the worker that hosts it: no more bytes than its card says, and from nobody whom the worker points to. */
async function download(file: CardFile): Promise<Buffer> {
  const limit = Math.min(Number.isSafeInteger(file.size) ? file.size : maxFileBytes, maxFileBytes);
  const answer = await fetch(file.path, { redirect: 'error', signal: AbortSignal.timeout(30_000) });
  if (!answer.ok) {
    await answer.body?.cancel();
    throw new DynamoError('not_found', `${file.path} answered ${answer.status}`, { data: { path: file.path, status: answer.status } });
  }
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of (answer.body ?? []) as AsyncIterable<Uint8Array>) {
    size += piece.length;
    if (size > limit)
      throw new DynamoError('payload_too_large', `${file.path} has more than the ${limit} bytes that its card says`, {
        data: { path: file.path, limit },
      });
    pieces.push(piece);
  }
  return Buffer.concat(pieces, size);
}

const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

function parse(bytes: Buffer, file: CardFile): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new DynamoError('invalid_argument', `${file.path} is not JSON`, { cause, data: { path: file.path } });
  }
}
