import type { PrefillPool } from '../clients/prefill-first.ts';
import type { WireCard } from '../model/wire-card.ts';

/** The parsers that a card names. */
export function parsersOf(card: WireCard): { toolParser?: string; reasoningParser?: string } {
  const { tool_call_parser: tool, reasoning_parser: reasoning } = card.runtime_config;
  return { ...(typeof tool === 'string' ? { toolParser: tool } : {}), ...(typeof reasoning === 'string' ? { reasoningParser: reasoning } : {}) };
}

/** Where decode workers fetch what this one has read, as its card says. */
export function bootstrapOf(card: WireCard | undefined): ReturnType<PrefillPool['bootstrapOf']> {
  const { disaggregated_endpoint: place, data_parallel_size: size } = card?.runtime_config ?? {};
  const { bootstrap_host: host, bootstrap_port: port } = (place ?? {}) as { bootstrap_host?: unknown; bootstrap_port?: unknown };
  if (typeof host !== 'string' || typeof port !== 'number') return undefined;
  return { host, port, dpSize: typeof size === 'number' ? size : 1 };
}
