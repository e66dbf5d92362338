import type { MultimodalOptions } from '@dynamo/multimodal';
import { mediaMembersOf, ownTransfer } from './media-options.ts';
import { readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { DynamoError } from '@dynamo/runtime';
import { hashFile } from './checksum.ts';
import { ModelRuntimeConfig } from './runtime-config.ts';
import { inputFlags, type InputName, modelType, refusedSurfaces, surfaceFlags, type SurfaceName } from './surfaces.ts';
import { type Tensors, typeOfRequest } from './tensor-types.ts';
import type { CardFile, WireCard } from './wire-card.ts';

/** What a backend says of its model beside the model's own files. */
export interface CardOptions {
  /** Name that clients ask for; the path as it was given by default. */
  name?: string;
  /** Further names. */
  aliases?: readonly string[];
  /** Tokens in a KV block; default 16. */
  blockSize?: number;
  /** What the worker gets: token ids, the default, the client's own request, or tensors. */
  input?: 'tokens' | 'text' | 'tensor';
  /**
   * With `input: 'tensor'`: the tensors that the model takes and gives, which KServe clients are told of; a size of -1 is any. A
   * `config`, a `ModelConfig` of Triton in protobuf, is told in place of them. Such a model needs no folder.
   */
  tensors?: {
    inputs: readonly { name: string; datatype: Tensors['tensors'][number]['datatype']; shape: readonly number[] }[];
    outputs: readonly { name: string; datatype: Tensors['tensors'][number]['datatype']; shape: readonly number[] }[];
    config?: Uint8Array;
  };
  /** Which routes the model answers on; default `['chat', 'completions']`. With token ids these two and `embedding` are possible. */
  surfaces?: readonly ('chat' | 'completions' | 'embedding' | 'classify' | 'pooling' | 'rerank' | 'tensor')[];
  /** File with a chat template that stands in for the model's own. */
  chatTemplate?: string;
  /** The parsers of the model's family, by name: what reads tool calls and thoughts off its answers (spec llm 6). */
  parsers?: { tools?: string; reasoning?: string };
  /** Longest sequence in tokens; that of config.json by default. */
  contextLength?: number;
  /** Passed on to whoever reads the card. */
  userData?: unknown;
  capacity?: { kvBlocks?: number; sequences?: number; batchedTokens?: number };
  /** What the worker does for a request: all of it, by default, or one part (spec llm 1.2). Who only reads prompts or only encodes offers no surface. */
  role?: 'aggregated' | 'prefill' | 'decode' | 'encode';
  /**
   * Roles that must be there beside this one, as alternatives of which one is enough: `[['prefill'], ['encode', 'prefill']]`. Without
   * them the model is not ready. Default `[['decode']]` for `prefill`, `[['prefill', 'decode'], ['aggregated']]` for `encode`, else none.
   */
  needs?: readonly (readonly ('aggregated' | 'prefill' | 'decode' | 'encode')[])[];
  /** Words by which requests ask for workers or avoid them (spec kv-router 8). */
  taints?: readonly string[];
  /**
   * Has frontends fetch and decode images, within these limits, and hand over their pixels: `Multimodal.load({ kind, decoded })` reads
   * them. Only between frontends and workers of ours; a real frontend would do it over NIXL.
   */
  media?: Pick<MultimodalOptions, 'fetch' | 'decode'>;
  /** Where decode workers fetch the KV cache of what this one has read. */
  bootstrap?: { host: string; port: number };
}

type WorkerRole = NonNullable<CardOptions['role']>;
const roles: readonly WorkerRole[] = ['aggregated', 'prefill', 'decode', 'encode'];

/** Who must be there for those who answer nobody themselves, where nothing else is said. */
const usualNeeds: Readonly<Partial<Record<WorkerRole, CardOptions['needs']>>> = {
  prefill: [['decode']],
  encode: [['prefill', 'decode'], ['aggregated']],
};

/** Lower-case, everything outside `[a-z0-9_-]` as `_` (spec llm 1.3). */
export const slugOf = (name: string): string => name.toLowerCase().replace(/[^a-z0-9_-]/g, '_');

/**
 * Builds the card of a model folder, as the real registration does. `source` is what the folder was fetched by, where that was another name.
 *
 * @throws DynamoError `not_found` naming the folder or the file in it that is missing, `invalid_argument` for a config.json that is no object.
 */
export async function cardFromDirectory(path: string, options: CardOptions = {}, source: string = path): Promise<WireCard> {
  if (options.input === 'tensor') return tensorCard(source, options);
  const directory = resolve(path);
  const found = await stat(directory).catch(() => undefined);
  if (found === undefined) throw new DynamoError('not_found', `model folder '${path}' does not exist`, { data: { path } });
  if (!found.isDirectory()) throw new DynamoError('invalid_argument', `model folder '${path}' is not a folder`, { data: { path } });
  const need = async (name: string): Promise<CardFile> => {
    const file = await reference(join(directory, name));
    if (file === undefined) throw new DynamoError('not_found', `model folder '${path}' has no ${name}`, { data: { path, file: name } });
    return file;
  };
  const config = await readConfig((await need('config.json')).path);
  const prompt = await reference(join(directory, 'tokenizer_config.json'));
  const template = await templateOf(directory, options.chatTemplate);
  const generation = await reference(join(directory, 'generation_config.json'));
  const preprocessor = await reference(join(directory, 'preprocessor_config.json'));
  const longest = config.max_position_embeddings;
  const name = options.name ?? source;
  const { surfaces = ['chat', 'completions'], input = 'tokens' } = options;
  checkSurfaces(input, surfaces);
  const { role = 'aggregated', needs = usualNeeds[role] ?? [] } = options;
  checkRole(role, needs);
  return {
    display_name: name,
    slug: slugOf(name),
    source_path: source,
    model_info: { hf_config_json: await need('config.json') },
    tokenizer: { hf_tokenizer_json: await need('tokenizer.json') },
    ...(prompt === undefined ? {} : { prompt_formatter: { hf_tokenizer_config_json: prompt } }),
    ...(template === undefined ? {} : { chat_template_file: { hf_chat_template: template } }),
    ...(generation === undefined ? {} : { gen_config: { hf_generation_config_json: generation } }),
    ...(preprocessor === undefined ? {} : { extra_files: [preprocessor] }),
    ...(longest === undefined ? {} : { architectural_max_context_length: longest }),
    context_length: options.contextLength ?? longest ?? 0,
    kv_cache_block_size: options.blockSize ?? 16,
    migration_limit: 0,
    // Who does only a part of the work answers nobody; prefill has a marker of its own there.
    model_type: role === 'prefill' ? 'Prefill' : role === 'encode' ? '' : modelType(surfaces),
    model_input: inputFlags[input],
    worker_type: role,
    needs,
    ...(options.aliases === undefined || options.aliases.length === 0 ? {} : { aliases: options.aliases }),
    ...(options.userData === undefined ? {} : { user_data: options.userData }),
    runtime_config: new ModelRuntimeConfig()
      .with({
        contextLength: options.contextLength,
        ...capacityOf(options),
        toolParser: options.parsers?.tools,
        reasoningParser: options.parsers?.reasoning,
        bootstrap: options.bootstrap,
        taints: options.taints,
        engineData: options.media === undefined ? undefined : { [ownTransfer.name]: ownTransfer.value },
      })
      .toWire(),
    ...(await mediaMembersOf(options.media)),
  };
}

/** The card of a model of tensors: no files, no tokens. */
function tensorCard(path: string, options: CardOptions): WireCard {
  const { surfaces = ['tensor'], name = path, tensors, role = 'aggregated' } = options;
  checkSurfaces('tensor', surfaces);
  checkRole(role, options.needs ?? []);
  const { taints } = options;
  return {
    display_name: name,
    slug: slugOf(name),
    source_path: path,
    model_info: null,
    tokenizer: null,
    context_length: 0,
    kv_cache_block_size: 0,
    migration_limit: 0,
    model_type: modelType(surfaces),
    model_input: inputFlags.tensor,
    worker_type: role,
    needs: options.needs ?? [],
    ...(options.aliases === undefined || options.aliases.length === 0 ? {} : { aliases: options.aliases }),
    ...(options.userData === undefined ? {} : { user_data: options.userData }),
    runtime_config: new ModelRuntimeConfig().with({ ...capacityOf(options), taints }).toWire(),
    ...(tensors === undefined ? {} : { tensor_model_config: tensorConfig(name, tensors) }),
    media_decoder: null,
    media_fetcher: null,
  };
}

function tensorConfig(name: string, { inputs, outputs, config }: NonNullable<CardOptions['tensors']>): object {
  const wire = (listed: typeof inputs): object[] =>
    listed.map(({ name: tensor, datatype, shape }) => {
      const type = typeOfRequest(datatype);
      if (type === undefined) throw new DynamoError('invalid_argument', `tensors: '${tensor}' has the unknown datatype '${String(datatype)}'`);
      return { name: tensor, data_type: type.wire, shape };
    });
  return { name, inputs: wire(inputs), outputs: wire(outputs), ...(config === undefined ? {} : { triton_model_config: [...config] }) };
}

const capacityOf = ({
  capacity,
}: CardOptions): { kvBlocks?: number | undefined; sequences?: number | undefined; batchedTokens?: number | undefined } => ({
  kvBlocks: capacity?.kvBlocks,
  sequences: capacity?.sequences,
  batchedTokens: capacity?.batchedTokens,
});

/** @throws DynamoError `invalid_argument` for surfaces that the input can't have, which would hold a real frontend's discovery up. */
function checkSurfaces(input: InputName, surfaces: readonly SurfaceName[]): void {
  if (!Object.hasOwn(inputFlags, input)) throw new DynamoError('invalid_argument', `input '${String(input)}': expected tokens, text or tensor`);
  const unknown = surfaces.filter((name) => !Object.hasOwn(surfaceFlags, name));
  if (unknown.length > 0) throw new DynamoError('invalid_argument', `surfaces: '${unknown.join("', '")}' is unknown`);
  if (surfaces.length === 0) throw new DynamoError('invalid_argument', 'surfaces: a model needs at least one');
  const refused = refusedSurfaces(input, surfaces);
  if (refused.length > 0)
    throw new DynamoError('invalid_argument', `surfaces: '${refused.join("', '")}' can't be offered with input '${input}'`, {
      data: { input, surfaces: refused },
    });
}

/** @throws DynamoError `invalid_argument` for roles that are none, and a prefill worker that nobody would ever ask (spec llm 1.1). */
function checkRole(role: WorkerRole, needs: readonly (readonly WorkerRole[])[]): void {
  const unknown = [role, ...needs.flat()].find((name) => !roles.includes(name));
  if (unknown !== undefined) throw new DynamoError('invalid_argument', `role '${String(unknown)}': expected one of ${roles.join(', ')}`);
  if (Object.hasOwn(usualNeeds, role) && !needs.some((all) => all.length > 0))
    throw new DynamoError('invalid_argument', `role ${role} requires a non-empty \`needs\`: at least one peer role that it depends on`);
}

async function readConfig(path: string): Promise<{ max_position_embeddings?: number }> {
  let config: unknown;
  try {
    config = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new DynamoError('invalid_argument', `${path} is not JSON`, { cause, data: { path } });
  }
  if (typeof config !== 'object' || config === null || Array.isArray(config))
    throw new DynamoError('invalid_argument', `${path} is no JSON object`, { data: { path } });
  return config;
}

async function templateOf(directory: string, custom: string | undefined): Promise<{ is_custom: boolean; file: CardFile } | undefined> {
  const path = custom === undefined ? join(directory, 'chat_template.jinja') : resolve(custom);
  const file = await reference(path);
  if (file !== undefined) return { is_custom: custom !== undefined, file };
  if (custom !== undefined) throw new DynamoError('not_found', `chat template '${custom}' does not exist`, { data: { path: custom } });
  return undefined;
}

async function reference(path: string): Promise<CardFile | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile() !== true) return undefined;
  const { hex, size } = await hashFile(path);
  return { path, checksum: `blake3:${hex}`, size };
}
