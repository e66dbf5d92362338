import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defaultSettings } from '@dynamo/kv-router/internal';
import { encodeJsonText } from '@dynamo/runtime/internal';
import { expect, test } from 'vitest';
import { dynamo } from '../testing/command.ts';

/** Two workers, and two prompts of eight blocks that come again and again, each read in ten milliseconds and answered in as many. */
function recording(): string {
  const config = { dpStart: 0, dpSize: 1, taints: [], localIndexer: true, eagle: false, role: 'aggregated' };
  const lines: unknown[] = [
    { timestamp: 0, router: { block_size: 16, index: 'events', role: 'decode', selector: 'default', settings: defaultSettings, overload: {} } },
    ...[1, 2].map((worker) => ({ timestamp: 0, worker: { worker_id: worker, config } })),
  ];
  for (let at = 0; at < 20; at++) {
    const local = BigUint64Array.from({ length: 8 }, (_, block) => BigInt((at % 2) * 100 + block + 1));
    const decision = {
      id: `r${at}`,
      isl: 130,
      local: Buffer.from(local.buffer).toString('base64'),
      worker_id: 1 + (Math.floor(at / 2) % 2),
      dp_rank: 0,
      cost: 0,
      overlap_blocks: 0,
      cached_tokens: 0,
      random: 7,
    };
    lines.push(
      { timestamp: at * 100, decision },
      { timestamp: at * 100 + 10, read: { id: `r${at}` } },
      { timestamp: at * 100 + 20, freed: { id: `r${at}`, output_tokens: 1, cached_tokens: null } },
    );
  }
  return lines.map(encodeJsonText).join('\n');
}

test('recorded traffic is run with other options, and told side by side', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'what-if-'));
  try {
    const path = join(folder, 'router.jsonl');
    await writeFile(path, recording());
    const plain = await dynamo(['router', 'what-if', path]);
    expect(plain).toMatchObject({ code: 0, stderr: '' });
    expect(plain.stdout.split('\n').slice(0, 3)).toEqual(['20 requests in 1.9 s', '', expect.stringMatching(/^ +recorded +same options$/)]);
    // Sent in turns, each worker reads both prompts once; by their caches, each prompt is read once.
    expect(plain.stdout).toMatch(/^hit rate +78\.77 % +88\.62 %$/m);
    const other = await dynamo(['router', 'what-if', path, '--router-kv-overlap-score-credit', '0', '--no-router-kv-events']);
    expect(other).toMatchObject({ code: 0, stderr: '' });
    expect(other.stdout).toMatch(/^ +recorded +same options +overlapCredit=0 kvEvents=false$/m);
  } finally {
    await rm(folder, { recursive: true });
  }
});
