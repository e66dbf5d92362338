import { PromptHasher, routeHeader, routingParts } from '@dynamo/kv-router/internal';
import { median } from './median.ts';

const blockSize = 16;

/** What a decision for an 8k-token prompt costs with nobody listening, with one line written, and with a whole receipt; microseconds. */
export function receipts({ decisions }: { decisions: number }): void {
  console.log('| workers | decision, us | with a line | with the header | with a receipt |');
  console.log('|---:|---:|---:|---:|---:|');
  for (const workers of [1, 8, 64, 512]) {
    const run = scene(workers);
    const kinds = [() => run.place(undefined), () => run.place('brief'), () => run.header(), () => run.place('receipt')];
    for (const kind of kinds) measure(kind, decisions / 4);
    const rounds = Array.from({ length: 41 }, () => kinds.map((kind) => measure(kind, decisions / 10)));
    const cells = kinds.map((_, at) => median(rounds.map((round) => round[at] ?? 0)).toFixed(1));
    console.log(`| ${workers} | ${cells.join(' | ')} |`);
  }
}

function measure(run: () => unknown, count: number): number {
  const began = performance.now();
  for (let i = 0; i < count; i++) run();
  return ((performance.now() - began) / count) * 1_000;
}

/** Equal workers of which each holds another part of the prompt. */
function scene(workers: number) {
  const parts = routingParts({ blockSize }, { clock: () => performance.now() });
  const config = { dpStart: 0, dpSize: 1, taints: new Set<string>(), localIndexer: true, eagle: false, role: 'aggregated' as const };
  const tokens = Uint32Array.from({ length: 8_192 }, (_, at) => (at * 2_654_435_761) >>> 12);
  const hasher = new PromptHasher(parts.index.core);
  const { local, sequence } = hasher.hashes(tokens, { blockSize });
  for (let worker = 0; worker < workers; worker++) {
    const workerId = BigInt(worker + 1);
    parts.workers.put(workerId, config);
    const held = 1 + ((worker * 37) % local.length);
    const blocks = Array.from(sequence.subarray(0, held), (blockHash, at) => ({ blockHash, tokensHash: local[at] ?? 0n }));
    parts.index.apply({ workerId, dpRank: 0, tier: 'device', domain: 'worker', id: 1, change: { type: 'stored', parent: undefined, blocks } });
  }
  const trust = () => ({ state: 'live', level: 'exact' }) as const;
  const words = new Uint32Array(sequence.buffer, sequence.byteOffset, sequence.length * 2);
  const place = (explain: 'brief' | 'receipt' | undefined) => {
    const { device, hostPinned, disk, external } = parts.index.overlaps({ local, sequence });
    return parts.scheduler.place({
      isl: tokens.length,
      sequence: words,
      overlaps: { device, host: hostPinned, disk, external },
      ...(explain === undefined ? {} : { explain, id: 'request', trust }),
    });
  };
  return {
    place,
    header: () => {
      const { brief } = place('brief');
      return brief === undefined ? '' : routeHeader(brief);
    },
  };
}
