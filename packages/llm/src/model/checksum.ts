import { createReadStream } from 'node:fs';
import { createBLAKE3 } from 'hash-wasm';
import { encodeJsonText } from '@dynamo/runtime/internal';
import type { CardFile, WireCard } from './wire-card.ts';

/** BLAKE3 of a file in lower-case hex, and its size in bytes. Read in pieces. */
export async function hashFile(path: string): Promise<{ hex: string; size: number }> {
  const hash = await createBLAKE3();
  let size = 0;
  for await (const piece of createReadStream(path) as AsyncIterable<Buffer>) {
    hash.update(piece);
    size += piece.length;
  }
  return { hex: hash.digest('hex'), size };
}

/** BLAKE3 of bytes in lower-case hex. */
export async function hashBytes(bytes: Uint8Array): Promise<string> {
  const hash = await createBLAKE3();
  return hash.update(bytes).digest('hex');
}

const roles: readonly string[] = ['prefill', 'decode', 'encode', 'aggregated'];

/** One byte a worker type: none 0, prefill 1, decode 2, encode 3, aggregated 4. */
const roleByte = (role: unknown): number => roles.indexOf(String(role)) + 1;

/** The card's checksum, `mdcsum`: all workers of one set must show the same (spec llm 1.5). */
export async function cardChecksum(card: WireCard): Promise<string> {
  const hash = await createBLAKE3();
  const number = (value: number): void => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    hash.update(bytes);
  };
  hash.update(card.display_name);
  if (card.source_path !== null) hash.update(card.source_path);
  for (const file of [card.model_info, card.tokenizer, card.prompt_formatter, card.chat_template_file, card.gen_config]) {
    const checksum = checksumOf(file);
    if (checksum !== undefined) hash.update(checksum);
  }
  for (const { base, hex } of (card.extra_files ?? []).map(nameAndHash).toSorted(byNameThenHash)) hash.update(`${base}\0${hex}`);
  number(card.runtime_config.context_length ?? card.architectural_max_context_length ?? card.context_length ?? 0);
  number(card.kv_cache_block_size);
  hash.update(Uint8Array.of(roleByte(card.worker_type)));
  const needs = card.needs ?? [];
  number(needs.length);
  for (const alternative of needs) {
    number(alternative.length);
    hash.update(Uint8Array.from(alternative, roleByte));
  }
  if (card.router_config !== undefined && card.router_config !== null) {
    const inner = await createBLAKE3();
    hash.update(inner.update(encodeJsonText(card.router_config)).digest('binary'));
  }
  if (card.aliases !== undefined && card.aliases.length > 0) {
    number(card.aliases.length);
    for (const alias of card.aliases) {
      number(Buffer.byteLength(alias));
      hash.update(alias);
    }
  }
  return hash.digest('hex');
}

/** A file reference hides under the name of its kind, and a template's one level deeper. */
function checksumOf(reference: unknown): string | undefined {
  for (let at = reference; typeof at === 'object' && at !== null;) {
    if ('checksum' in at) return String(at.checksum);
    at = 'file' in at ? at.file : Object.values(at)[0];
  }
  return undefined;
}

const nameAndHash = (file: CardFile): { base: string; hex: string } => ({
  base: file.path.slice(file.path.lastIndexOf('/') + 1),
  hex: file.checksum.replace(/^blake3:/, ''),
});

const byNameThenHash = (a: { base: string; hex: string }, b: { base: string; hex: string }): number =>
  a.base === b.base ? (a.hex < b.hex ? -1 : 1) : a.base < b.base ? -1 : 1;
