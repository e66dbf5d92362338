/** A place in a heap. */
export interface HeapEntry<T> {
  readonly strictPriority: number;
  readonly key: number;
  readonly value: T;
}

interface Node<T> extends HeapEntry<T> {
  /** Equal ones go in order of arrival. */
  readonly turn: number;
  at: number;
}

/** Whether the first goes before the second. */
export const goesBefore = <T>(a: HeapEntry<T> & { turn: number }, b: HeapEntry<T> & { turn: number }): boolean =>
  a.strictPriority !== b.strictPriority ? a.strictPriority > b.strictPriority : a.key !== b.key ? a.key > b.key : a.turn < b.turn;

/** A binary heap from which any entry can be taken out: requests that are cancelled leave at once. */
export class Heap<T> {
  readonly #nodes: Node<T>[] = [];
  #turn = 0;

  get size(): number {
    return this.#nodes.length;
  }

  /** The entry that goes first. */
  get head(): Node<T> | undefined {
    return this.#nodes[0];
  }

  /** Adds an entry; the result is what `remove` takes. `turn` orders entries of several heaps among each other. */
  add(entry: HeapEntry<T>, turn: number = this.#turn++): Node<T> {
    const node: Node<T> = { ...entry, turn, at: this.#nodes.length };
    this.#nodes.push(node);
    this.#up(node);
    return node;
  }

  /** Takes an entry out; tells its value. */
  remove(node: Node<T>): T {
    const last = this.#nodes.pop();
    if (last !== undefined && last !== node) {
      this.#put(last, node.at);
      this.#up(last);
      this.#down(last);
    }
    return node.value;
  }

  #put(node: Node<T>, at: number): void {
    this.#nodes[at] = node;
    node.at = at;
  }

  #up(node: Node<T>): void {
    while (node.at > 0) {
      const above = this.#nodes[(node.at - 1) >> 1];
      if (above === undefined || !goesBefore(node, above)) return;
      const { at } = above;
      this.#put(above, node.at);
      this.#put(node, at);
    }
  }

  #down(node: Node<T>): void {
    for (;;) {
      const left = this.#nodes[node.at * 2 + 1];
      const right = this.#nodes[node.at * 2 + 2];
      const below = left !== undefined && right !== undefined && goesBefore(right, left) ? right : left;
      if (below === undefined || !goesBefore(below, node)) return;
      const { at } = below;
      this.#put(below, node.at);
      this.#put(node, at);
    }
  }
}

/** A place in a heap, as `add` gives it. */
export type HeapNode<T> = Node<T>;
