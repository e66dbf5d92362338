import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Heap } from './heap.ts';
import type { QueuePolicy, Waiting } from './queue-policy.ts';

/** What every order of waiting requests promises. */
export function queuePolicyContract(policy: QueuePolicy): void {
  const waiting = fc.record({
    strictPriority: fc.nat(3),
    priorityJump: fc.double({ min: 0, max: 100, noNaN: true }),
    arrival: fc.double({ min: 0, max: 1e6, noNaN: true }),
    cost: fc.integer({ min: 1, max: 200_000 }),
  });

  test('a key is always a number', () => {
    fc.assert(fc.property(waiting, (entry) => Number.isFinite(policy.key(entry))));
  });

  test('a jump never sets a request back', () => {
    fc.assert(
      fc.property(waiting, fc.double({ min: 0, max: 100, noNaN: true }), (entry, more) => {
        expect(policy.key({ ...entry, priorityJump: entry.priorityJump + more })).toBeGreaterThanOrEqual(policy.key(entry));
      }),
    );
  });

  test('the heap gives them back by tier, then by key, and loses none', () => {
    fc.assert(
      fc.property(fc.array(waiting, { maxLength: 50 }), (entries) => {
        const heap = new Heap<Waiting>();
        for (const entry of entries) heap.add({ strictPriority: entry.strictPriority, key: policy.key(entry), value: entry });
        const order: Waiting[] = [];
        for (let head = heap.head; head !== undefined; head = heap.head) order.push(heap.remove(head));
        expect(order).toHaveLength(entries.length);
        for (const [at, entry] of order.slice(1).entries()) {
          const before = order[at] as Waiting;
          const sorted =
            before.strictPriority > entry.strictPriority ||
            (before.strictPriority === entry.strictPriority && policy.key(before) >= policy.key(entry));
          expect(sorted).toBe(true);
        }
      }),
    );
  });
}
