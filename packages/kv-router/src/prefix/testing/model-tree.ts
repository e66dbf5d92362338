/** The prefix tree of spec kv-router 3 with maps and sets and no thought of speed: what the core is held against. */

export interface ModelBlock {
  readonly tokens: bigint;
  readonly block: bigint;
}

interface ModelNode {
  edge: ModelBlock[];
  full: Set<number>;
  cutoff: Map<number, number>;
  children: Map<bigint, ModelNode>;
  internal: boolean;
}

/** A chain of blocks that a rank holds, as a dump has it. */
export interface ModelChain {
  readonly rank: number;
  readonly parent: bigint | undefined;
  readonly blocks: readonly ModelBlock[];
}

export type ModelResult = 'ok' | 'Failed to find parent block' | 'Invalid block sequence' | 'Failed to find block';

const newNode = (edge: ModelBlock[], full: Iterable<number>): ModelNode => ({
  edge,
  full: new Set(full),
  cutoff: new Map(),
  children: new Map(),
  internal: false,
});

const indexOf = (node: ModelNode, block: bigint): number => node.edge.findLastIndex((entry) => entry.block === block);
const covers = (node: ModelNode, rank: number, at: number): boolean => node.full.has(rank) || at < (node.cutoff.get(rank) ?? 0);
const isDead = (node: ModelNode): boolean => node.full.size === 0 && node.cutoff.size === 0;

export class ModelTree {
  readonly #root: ModelNode = { ...newNode([], []), internal: true };
  readonly #lookup = new Map<number, Map<bigint, ModelNode>>();

  #lookupOf(rank: number): Map<bigint, ModelNode> {
    const known = this.#lookup.get(rank) ?? new Map<bigint, ModelNode>();
    this.#lookup.set(rank, known);
    return known;
  }

  stored(rank: number, parentHash: bigint | undefined, blocks: readonly ModelBlock[]): ModelResult {
    const lookup = this.#lookupOf(rank);
    if (blocks.some(({ block }) => block === parentHash)) return 'Invalid block sequence';
    const note = (node: ModelNode, stored: readonly ModelBlock[]): void => stored.forEach(({ block }) => lookup.set(block, node));
    let parent = this.#root;
    if (parentHash !== undefined) {
      const node = lookup.get(parentHash);
      const at = node === undefined ? -1 : indexOf(node, parentHash);
      if (node === undefined || at < 0) return 'Failed to find parent block';
      if (!covers(node, rank, at)) {
        lookup.delete(parentHash);
        return 'Failed to find parent block';
      }
      const suffix = node.edge.slice(at + 1);
      const same = suffix.slice(0, blocks.length).every((entry, i) => entry.tokens === blocks[i]?.tokens && entry.block === blocks[i]?.block);
      if (same && blocks.length <= suffix.length) {
        this.#coverPrefix(node, rank, at + 1 + blocks.length);
        note(node, blocks);
        return 'ok';
      }
      if (same && !node.internal) {
        this.#append(node, rank, blocks.slice(suffix.length));
        note(node, blocks);
        return 'ok';
      }
      if (node.edge.at(-1)?.block !== parentHash) this.#split(node, at + 1);
      parent = node;
    }
    let remaining = blocks;
    while (remaining.length > 0) {
      const key = remaining[0]!.tokens;
      const child = parent.children.get(key);
      if (child === undefined || isDead(child)) {
        if (parent.edge.length > 0 && !parent.internal && covers(parent, rank, parent.edge.length - 1)) {
          this.#append(parent, rank, remaining);
          note(parent, remaining);
        } else {
          const node = newNode([...remaining], [rank]);
          parent.internal = true;
          parent.children.set(key, node);
          note(node, remaining);
        }
        break;
      }
      let m = 0;
      while (m < child.edge.length && m < remaining.length && child.edge[m]!.tokens === remaining[m]!.tokens) m++;
      if (m < child.edge.length) {
        if (m === remaining.length) {
          this.#coverPrefix(child, rank, m);
          note(child, remaining);
          break;
        }
        this.#split(child, m);
        this.#makeFull(child, rank);
        note(child, remaining.slice(0, m));
        const rest = remaining.slice(m);
        const node = newNode([...rest], [rank]);
        child.internal = true;
        child.children.set(rest[0]!.tokens, node);
        note(node, rest);
        break;
      }
      this.#makeFull(child, rank);
      note(child, remaining.slice(0, m));
      remaining = remaining.slice(m);
      parent = child;
    }
    return 'ok';
  }

  #makeFull(node: ModelNode, rank: number): void {
    node.cutoff.delete(rank);
    node.full.add(rank);
  }

  #coverPrefix(node: ModelNode, rank: number, k: number): void {
    if (k === 0) return;
    if (k >= node.edge.length) this.#makeFull(node, rank);
    else if (!node.full.has(rank)) node.cutoff.set(rank, Math.max(node.cutoff.get(rank) ?? 0, k));
  }

  #append(node: ModelNode, rank: number, blocks: readonly ModelBlock[]): void {
    for (const other of node.full) if (other !== rank) node.cutoff.set(other, node.edge.length);
    node.full = new Set([rank]);
    node.cutoff.delete(rank);
    node.edge.push(...blocks);
  }

  #split(node: ModelNode, at: number): void {
    const suffix = newNode(node.edge.slice(at), node.full);
    for (const [rank, k] of [...node.cutoff]) {
      if (k < at) continue;
      this.#makeFull(node, rank);
      if (k > at) suffix.cutoff.set(rank, k - at);
    }
    suffix.children = node.children;
    suffix.internal = node.internal;
    node.edge = node.edge.slice(0, at);
    node.children = new Map([[suffix.edge[0]!.tokens, suffix]]);
    node.internal = true;
    for (const rank of suffix.full) for (const { block } of suffix.edge) this.#lookupOf(rank).set(block, suffix);
    for (const [rank, k] of suffix.cutoff) for (const { block } of suffix.edge.slice(0, k)) this.#lookupOf(rank).set(block, suffix);
  }

  removed(rank: number, hashes: readonly bigint[]): ModelResult {
    const lookup = this.#lookupOf(rank);
    const dropped = new Set<bigint>();
    let failed = false;
    for (let i = 0; i < hashes.length; i++) {
      const hash = hashes[i]!;
      const node = lookup.get(hash);
      if (node === undefined) {
        failed ||= !dropped.has(hash);
        continue;
      }
      let at = indexOf(node, hash);
      if (at < 0) {
        failed = true;
        continue;
      }
      lookup.delete(hash);
      dropped.add(hash);
      if (covers(node, rank, at)) {
        for (; i + 1 < hashes.length; i++) {
          const next = hashes[i + 1]!;
          const there = lookup.get(next) === node ? indexOf(node, next) : -1;
          if (there < 0 || !covers(node, rank, there)) break;
          lookup.delete(next);
          dropped.add(next);
          at = Math.min(at, there);
        }
      }
      const current = node.full.has(rank) ? node.edge.length : (node.cutoff.get(rank) ?? 0);
      if (at < current) {
        node.full.delete(rank);
        node.cutoff.delete(rank);
        if (at > 0) node.cutoff.set(rank, at);
        for (const { block } of node.edge.slice(at, current)) {
          lookup.delete(block);
          dropped.add(block);
        }
      }
      if (node.full.size === 0) node.children.clear();
    }
    return failed ? 'Failed to find block' : 'ok';
  }

  cleared(rank: number): void {
    for (const node of this.#lookupOf(rank).values()) {
      node.full.delete(rank);
      node.cutoff.delete(rank);
      if (node.full.size === 0) node.children.clear();
    }
    this.#lookup.delete(rank);
  }

  find(sequence: readonly bigint[], earlyExit: boolean): Map<number, number> {
    const scores = new Map<number, number>();
    let node = this.#root.children.get(sequence[0] ?? -1n);
    let depth = 0;
    let active = new Set<number>();
    while (node !== undefined && depth < sequence.length) {
      let m = 0;
      while (m < node.edge.length && depth + m < sequence.length && node.edge[m]!.tokens === sequence[depth + m]) m++;
      if (m === 0) break;
      if (depth === 0) {
        active = new Set(node.full);
        for (const [rank, k] of node.cutoff) scores.set(rank, Math.min(k, m));
      } else {
        for (const rank of active) {
          if (node.full.has(rank)) continue;
          scores.set(rank, depth + Math.min(node.cutoff.get(rank) ?? 0, m));
          active.delete(rank);
        }
      }
      depth += m;
      if (active.size === 0 || m < node.edge.length || depth === sequence.length || (earlyExit && active.size === 1)) break;
      node = node.children.get(sequence[depth]!);
    }
    for (const rank of active) scores.set(rank, depth);
    return scores;
  }

  dump(): ModelChain[] {
    const chains: ModelChain[] = [];
    const queue = [...this.#root.children.values()].map((node) => ({ node, parent: undefined as bigint | undefined }));
    const alive = (node: ModelNode): ModelNode[] => [...node.children.values()].filter((child) => !isDead(child) || child.children.size > 0);
    for (const { node: first, parent } of queue) {
      if (isDead(first) && first.children.size === 0) continue;
      let node = first;
      const blocks = [...first.edge];
      for (;;) {
        const [child, other] = alive(node);
        if (node.cutoff.size > 0 || child === undefined || other !== undefined) break;
        if (child.cutoff.size > 0 || isDead(child) || child.full.size !== node.full.size || [...child.full].some((rank) => !node.full.has(rank)))
          break;
        blocks.push(...child.edge);
        node = child;
      }
      for (const rank of node.full) chains.push({ rank, parent, blocks });
      for (const [rank, k] of node.cutoff) chains.push({ rank, parent, blocks: blocks.slice(0, k) });
      queue.push(...[...node.children.values()].map((child) => ({ node: child, parent: blocks.at(-1)!.block })));
    }
    return chains;
  }
}
