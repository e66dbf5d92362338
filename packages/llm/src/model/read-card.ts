import { inputOf, refusedSurfaces, surfacesOf } from './surfaces.ts';
import type { WireCard } from './wire-card.ts';

/** Reads a card from discovery with a tolerant eye, or tells why this frontend can't serve it. */
export function readCard(raw: Readonly<Record<string, unknown>>): { card: WireCard } | { problem: string } {
  const text = (name: string): string | undefined => (typeof raw[name] === 'string' ? raw[name] : undefined);
  const number = (name: string, fallback: number): number => (typeof raw[name] === 'number' ? raw[name] : fallback);
  const name = text('display_name');
  const type = text('model_type');
  if (name === undefined || name === '') return { problem: 'it has no display_name' };
  if (type === undefined) return { problem: 'it has no model_type' };
  const input = inputOf(text('model_input'));
  if (input === undefined) return { problem: `model_input '${String(raw['model_input'])}' is unknown` };
  const role = text('worker_type') ?? (type === 'Prefill' ? 'prefill' : 'aggregated');
  if (!roles.includes(role)) return { problem: `worker_type '${role}' comes with a later version` };
  if ((raw['lora'] ?? null) !== null && typeof (raw['lora'] as { name?: unknown }).name !== 'string') return { problem: 'lora has no name' };
  const surfaces = surfacesOf(type);
  if (!helpers.includes(role) && surfaces.length === 0) return { problem: `model_type '${type}' comes with a later version` };
  const refused = refusedSurfaces(input, surfaces);
  if (refused.length > 0) return { problem: `unsupported model configuration: ${refused.join(',')} with ${input} input` };
  for (const member of ['tokenizer', 'prompt_formatter', 'chat_template_file', 'gen_config', 'model_info']) {
    const reference = raw[member];
    if (reference !== undefined && reference !== null && !hasFile(reference)) return { problem: `${member} is no file reference` };
  }
  const card = {
    ...raw,
    source_path: text('source_path') ?? null,
    context_length: number('context_length', 0),
    kv_cache_block_size: number('kv_cache_block_size', 0),
    worker_type: role,
    needs: readNeeds(raw['needs']),
    aliases: Array.isArray(raw['aliases']) ? raw['aliases'].filter((alias) => typeof alias === 'string') : [],
    runtime_config: typeof raw['runtime_config'] === 'object' && raw['runtime_config'] !== null ? raw['runtime_config'] : {},
  };
  for (const optional of ['prompt_formatter', 'chat_template_file', 'gen_config', 'lora'] as const) {
    if ((raw[optional] ?? null) === null) delete (card as Record<string, unknown>)[optional];
  }
  return { card: card as unknown as WireCard };
}

const roles: readonly string[] = ['aggregated', 'prefill', 'decode', 'encode'];

/** Roles that answer no client: they offer no surface. */
export const helpers: readonly string[] = ['prefill', 'encode'];

/** Alternatives, each a list of roles that must all be there (spec llm 1.2). */
const readNeeds = (needs: unknown): string[][] =>
  Array.isArray(needs) ? needs.filter((all) => Array.isArray(all)).map((all: unknown[]) => all.map(String)) : [];

/** A reference is `{kind: {path, checksum, size}}`; a template's has one more level. */
function hasFile(reference: unknown): boolean {
  const [inner] = Object.values(reference as Record<string, unknown>);
  if (typeof inner !== 'object' || inner === null) return false;
  const file = 'file' in inner ? inner.file : inner;
  if (typeof file !== 'object' || file === null) return false;
  const { path, checksum } = file as Record<string, unknown>;
  return typeof path === 'string' && typeof checksum === 'string';
}
