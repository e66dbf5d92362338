import type { Placed, Scheduler } from '../scheduler.ts';

/** What is sent to eight equal workers. */
export type Traffic = 'shared system prompt' | 'burst to equal workers' | 'cold restarted worker';

const blockSize = 16;
/** Blocks of the system prompt that all requests of some traffic share. */
const systemBlocks = 32;

/** A small generator of numbers in 0 … 1 that gives the same ones for a seed. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b_3c6d) + 0x6d2b_79f5) >>> 0;
    const mixed = Math.imul(state ^ (state >>> 12), 0x297a_2d39);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
}

interface Running {
  readonly id: string;
  readonly placed: Placed;
  left: number;
}

/**
 * Runs 400 requests, about 70 at once (a burst: all at once), and tells the largest share of work that a worker got, by
 * the mean: 1 is perfectly even. A worker has the system prompt in its cache once it was sent a request.
 */
export function fairness(options: { traffic: Traffic; seed: number; open: (random: () => number) => Scheduler }): number {
  const random = seeded(options.seed);
  const scheduler = options.open(random);
  const { workers, sequences } = scheduler;
  const none = new Uint32Array(workers.ranks.count);
  const cached = new Uint32Array(workers.ranks.count);
  const overlaps = { device: cached, host: none, disk: none, external: none };
  const work = new Map<number, number>(workers.numbers.map((rank) => [rank, 0]));
  const shared = options.traffic === 'burst to equal workers' ? 0 : systemBlocks;
  const requests = 400;
  let running: Running[] = [];

  const send = (number: number): void => {
    const own = 4 + Math.floor(random() * 20);
    const sequence = Uint32Array.from({ length: (shared + own) * 2 }, (_, word) => (word < shared * 2 ? word : Math.floor(random() * 2 ** 32)));
    const placed = scheduler.place({ isl: (shared + own) * blockSize + 5, sequence, overlaps });
    const id = `r${number}`;
    scheduler.book(id, placed);
    cached[placed.rank] = shared;
    work.set(placed.rank, (work.get(placed.rank) ?? 0) + own);
    running.push({ id, placed, left: 40 + Math.floor(random() * 60) });
  };

  for (let number = 0; number < requests; number++) {
    if (options.traffic === 'cold restarted worker' && number === requests / 2) restart();
    send(number);
    // A burst comes before any answer ends; other traffic is a steady stream.
    if (options.traffic !== 'burst to equal workers') step();
  }
  const shares = [...work.values()];
  return Math.max(...shares) / (shares.reduce((sum, share) => sum + share, 0) / shares.length);

  function step(): void {
    for (const request of running) {
      request.left--;
      if (request.left === 20) sequences.prefillDone(request.id);
      if (request.left <= 0) sequences.free(request.id);
    }
    running = running.filter(({ left }) => left > 0);
  }

  /** The first worker loses its cache and what it ran. */
  function restart(): void {
    const rank = workers.numbers[0] ?? 0;
    cached[rank] = 0;
    const gone = new Set(sequences.freeRank(rank));
    running = running.filter(({ id }) => !gone.has(id));
  }
}
