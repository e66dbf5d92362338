import { mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { hashBytes } from '../checksum.ts';
import { factsOf, tokensOf } from './facts.ts';
import { type GgufFile, readGguf } from './read-gguf.ts';
import { tokenizerJson } from './tokenizer-json.ts';

/** Renewed when the files that are made of a header change. */
const format = 1;

/**
 * Makes the model folder of a GGUF file, of its own metadata: config.json, tokenizer.json, tokenizer_config.json and
 * generation_config.json, which every frontend reads. It stays in the user's cache, where all workers of the model share it.
 *
 * @throws DynamoError as `readGguf`; `not_implemented` for a vocabulary of another kind than byte-level BPE.
 */
export async function ggufFolder(path: string, env: Readonly<Record<string, string | undefined>>): Promise<string> {
  const gguf = await readGguf(path);
  const caches = env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  const folder = join(caches, 'dynamo', 'gguf', `${format}-${(await hashBytes(gguf.header)).slice(0, 32)}`);
  if ((await stat(folder).catch(() => undefined)) !== undefined) return folder;
  await mkdir(dirname(folder), { recursive: true });
  const making = await mkdtemp(`${folder}-`);
  try {
    for (const [name, content] of Object.entries(filesOf(gguf))) await writeFile(join(making, name), JSON.stringify(content));
    await rename(making, folder);
  } catch (error) {
    await rm(making, { recursive: true, force: true });
    // Another worker was faster.
    if ((await stat(folder).catch(() => undefined)) === undefined) throw error;
  }
  return folder;
}

function filesOf(gguf: GgufFile): Readonly<Record<string, object>> {
  const facts = factsOf(gguf);
  const tokens = tokensOf(gguf);
  const spelled = (name: string, id: number | undefined): object => (id === undefined ? {} : { [name]: tokens[id] });
  const ends = facts.eosTokenIds;
  const ids = { ...(facts.bosTokenId === undefined ? {} : { bos_token_id: facts.bosTokenId }), ...(ends.length === 0 ? {} : { eos_token_id: ends }) };
  return {
    'config.json': {
      architectures: [facts.architecture],
      model_type: facts.architecture,
      max_position_embeddings: facts.contextLength,
      vocab_size: facts.vocabularySize,
      ...ids,
    },
    'generation_config.json': ids,
    'tokenizer.json': tokenizerJson(gguf),
    'tokenizer_config.json': {
      ...spelled('bos_token', facts.bosTokenId),
      ...spelled('eos_token', ends[0]),
      ...(facts.chatTemplate === undefined ? {} : { chat_template: facts.chatTemplate }),
    },
  };
}
