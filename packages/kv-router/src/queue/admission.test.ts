import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ActiveSequences } from '../load/active-sequences.ts';
import { RankTable } from '../ranks.ts';
import { type Placed, type PlaceRequest, Scheduler } from '../select/scheduler.ts';
import { readPolicyConfig } from '../wire/policy-config.ts';
import { readWorkerConfig } from '../workers/worker-config.ts';
import { WorkerSet } from '../workers/worker-set.ts';
import { AdmissionQueue, type Priority } from './admission.ts';
import { DeficitRoundRobin } from './deficit-round-robin.ts';
import { ClassQueue } from './class-queue.ts';
import { fcfs } from './fcfs.ts';
import { queuePolicies, type QueuePolicyName } from './index.ts';
import { lcfs } from './lcfs.ts';
import { classify, type PolicyProfile, singleClass } from './policy-classes.ts';
import { queuePolicyContract } from './queue-policy.contract.ts';
import { flowYaml } from './testing/flow-yaml.ts';
import { wspt } from './wspt.ts';

describe('fcfs', () => queuePolicyContract(fcfs));
describe('lcfs', () => queuePolicyContract(lcfs));
describe('wspt', () => queuePolicyContract(wspt));

test('every policy is known by its own name', () => {
  for (const [name, policy] of Object.entries(queuePolicies)) expect(policy.name).toBe(name);
});

const vector = (name: string): any => JSON.parse(readFileSync(new URL(`../../../../vectors/kv-router/${name}`, import.meta.url), 'utf8'));

interface Job extends PlaceRequest {
  readonly id: string;
  readonly queryOnly: boolean;
}

/** A router of some workers behind a queue; `admitted` is who went through, in order. */
function stage(profile: PolicyProfile, workerCount: number, batchedTokens = 100) {
  let now = 0;
  const ranks = new RankTable();
  const workers = new WorkerSet(ranks);
  for (let id = 1; id <= workerCount; id++) workers.put(BigInt(id), readWorkerConfig({ runtime_config: { max_num_batched_tokens: batchedTokens } }));
  const sequences = new ActiveSequences({ clock: () => now, ranks });
  const scheduler = new Scheduler({ workers, sequences }, { blockSize: 4, random: () => 0.99 });
  const admitted: string[] = [];
  const queue = new AdmissionQueue<Job, Placed>({
    profile,
    clock: () => now,
    host: {
      outlook: (job) => scheduler.outlook(job),
      workers: () => workers.size,
      dispatch: (job) => {
        const placed = scheduler.place(job);
        if (!job.queryOnly) scheduler.book(job.id, placed);
        admitted.push(job.id);
        return placed;
      },
    },
  });
  let distinct = 1;
  const submit = (id: string, isl: number, priority: Omit<Priority, 'isl'> & { queryOnly?: boolean; pinned?: bigint } = {}): Promise<Placed> => {
    const { queryOnly = false, pinned, ...rest } = priority;
    const sequence = Uint32Array.from({ length: 2 * Math.floor(isl / 4) }, () => distinct++);
    const constraints = pinned === undefined ? {} : { constraints: { pinned: { workerId: pinned } } };
    return queue.submit(
      { id, isl, sequence, queryOnly, ...constraints },
      { isl, ...rest, ...(pinned === undefined ? {} : { lane: String(pinned) }) },
    );
  };
  const done = (id: string): void => {
    sequences.prefillDone(id);
    queue.drain();
  };
  return { queue, submit, done, admitted, sequences, workers, wait: (ms: number) => (now += ms) };
}

const order = vector('queue_order.json');

test.each(Object.keys(order.admission_order) as QueuePolicyName[])('%s admits as the real service does', async (policy) => {
  const { queue, submit, done, admitted, wait } = stage(singleClass(policy, 0.5), 2);
  for (const { id, tokens } of order.setup) await submit(id, tokens);
  const answers: Promise<Placed>[] = [];
  for (const { id, tokens, priority_jump: priorityJump, strict_priority: strictPriority, query_only: queryOnly = false } of order.queued_in_order) {
    answers.push(
      submit(id, tokens, {
        queryOnly,
        ...(priorityJump === undefined ? {} : { priorityJump }),
        ...(strictPriority === undefined ? {} : { strictPriority }),
      }),
    );
    wait(order.arrival_gap_s * 1000);
  }
  const { requests, islTokens } = queue.pending;
  expect({ pending_count: requests, pending_isl_tokens: islTokens }).toEqual(order.pending_while_queued);
  // Each end of a prefill lets a group through; within a group the service told the order in which the answers arrived.
  const groups: string[][] = [];
  for (let next = 0; admitted.length < order.setup.length + order.queued_in_order.length; next++) {
    const before = admitted.length;
    done(admitted.filter((id) => id !== 'sel')[next] ?? '');
    if (admitted.length > before) groups.push(admitted.slice(before).toSorted());
  }
  const recorded = (order.admission_order[policy] as (string | string[])[]).flat();
  for (const group of groups) expect(recorded.splice(0, group.length).toSorted()).toEqual(group);
  expect(recorded).toEqual([]);
  await Promise.all(answers);
  expect(queue.pending).toEqual({ requests: 0, islTokens: 0 });
});

test('the last come go first where that is asked for, as in the running service', async () => {
  const { submit, done, admitted, wait } = stage(singleClass('lcfs', 0.5), 1);
  const answers = [submit('a', 60)];
  for (const [id, tokens] of [
    ['c', 60],
    ['d', 80],
    ['d2', 20],
  ] as const) {
    wait(200);
    answers.push(submit(id, tokens));
  }
  done('a');
  expect(admitted).toEqual(['a', 'd2', 'd']);
  done('d2');
  done('d');
  expect(admitted).toEqual(['a', 'd2', 'd', 'c']);
  await Promise.all(answers);
});

const classes = vector('policy_classes.json');

test('policy classes queue, refuse and share as the real frontend does', async () => {
  const profile = readPolicyConfig(flowYaml(classes.yaml), 'policy.yaml').root as PolicyProfile;
  const { submit, done, admitted } = stage(profile, 1, 8192);
  await submit('39', 39);
  const answers: Promise<Placed>[] = [];
  let refusal: any;
  for (const { n, prompt_tokens: tokens, headers, result } of classes.requests) {
    const policyClass = headers?.['x-dynamo-meta-policy-class'];
    const answer = submit(`${tokens ?? 29} ${n ?? policyClass}`, tokens ?? 29, policyClass === undefined ? {} : { policyClass });
    if (result === 529)
      await expect(answer.catch((error: unknown) => Promise.reject((refusal = error)))).rejects.toMatchObject({ code: 'queue_limit_exceeded' });
    else answers.push(answer);
  }
  const { message, details } = classes.error_body;
  expect(refusal.message).toBe(message);
  expect(refusal.data).toEqual({ policyClass: details.policy_class, limitKind: details.limit_kind, current: details.current, limit: details.limit });
  for (let next = 0; next < admitted.length; next++) done(admitted[next] ?? '');
  expect(admitted.map((id) => Number(id.split(' ')[0]))).toEqual(classes.worker_order_prompt_tokens);
  await Promise.all(answers);
});

test('priorities order a class as they did on the real frontend', async () => {
  const profile = readPolicyConfig(flowYaml(classes.yaml), 'policy.yaml').root as PolicyProfile;
  const { submit, done, admitted, wait } = stage(profile, 1, 8192);
  await submit('holder', 39, { policyClass: 'vip' });
  const wishes: [string, object][] = [
    ['{}', {}],
    ['{"priority_jump":5,"priority":5}', { priorityJump: 5 }],
    ['{"priority_jump":0,"priority":-5}', { priorityJump: -5 }],
    ['{"strict_priority":1}', { strictPriority: 1 }],
    ['{"priority_jump":100,"priority":100}', { priorityJump: 100 }],
  ];
  const answers = wishes.map(([id, wish]) => {
    wait(150);
    return submit(id, 9, { policyClass: 'vip', ...wish });
  });
  for (let next = 0; next < admitted.length; next++) done(admitted[next] ?? '');
  expect(admitted.slice(1).map((id) => JSON.parse(id) as unknown)).toEqual(classes.priorities_in_class_vip.served);
  await Promise.all(answers);
});

test('a request that is called off leaves the queue at once and its signal alone', async () => {
  const { submit, done, admitted, queue } = stage(singleClass('fcfs', 0.5), 1);
  await submit('a', 60);
  const controller = new AbortController();
  const gone = submit('b', 90, { signal: controller.signal });
  const stays = submit('c', 10, { signal: new AbortController().signal });
  expect(queue.pending.requests).toBe(2);
  controller.abort();
  await expect(gone).rejects.toMatchObject({ code: 'cancelled' });
  expect(queue.pending).toEqual({ requests: 1, islTokens: 10 });
  done('a');
  await stays;
  expect(admitted).toEqual(['a', 'c']);
  await expect(submit('d', 1, { signal: controller.signal })).rejects.toThrow('aborted');
});

test('a pinned request waits for its own worker only, and holds up nobody else', async () => {
  const { submit, done, admitted } = stage(singleClass('fcfs', 0.5), 2);
  const a = await submit('a', 60);
  const other = a.workerId === 1n ? 2n : 1n;
  const pinned = submit('pinned', 10, { pinned: a.workerId });
  const free = submit('b', 60);
  const onOther = submit('on other', 10, { pinned: other });
  done('nobody');
  expect((await free).workerId).toBe(other);
  done('b');
  await onOther;
  expect(admitted).toEqual(['a', 'b', 'on other']);
  done('a');
  await pinned;
});

test('where nobody may take it, a request fails at once; a waiting one when its turn comes', async () => {
  const { submit, workers, queue } = stage(singleClass('fcfs', 0.5), 1);
  await submit('a', 60);
  const waiting = submit('b', 60);
  workers.remove(1n);
  queue.drain();
  await expect(waiting).rejects.toThrow('no endpoints available to route work');
  await expect(submit('c', 60)).rejects.toThrow('no endpoints available to route work');
});

test('there is an end to waiting even without limits, and to the queue itself', async () => {
  const ranks = new RankTable();
  const host = { outlook: () => ({ cachedTokens: 0, isBusy: () => true }), workers: () => 1, dispatch: () => 1 };
  const queue = new AdmissionQueue<number, number>({ profile: singleClass('fcfs', 0), host, clock: () => 0, limit: 2 });
  expect(ranks.count).toBe(0);
  const waiting = [queue.submit(1, { isl: 5 }), queue.submit(2, { isl: 5 })];
  await expect(queue.submit(3, { isl: 5 })).rejects.toMatchObject({ code: 'queue_limit_exceeded', data: { current: 2, limit: 2 } });
  queue[Symbol.dispose]();
  for (const answer of waiting) await expect(answer).rejects.toMatchObject({ code: 'unavailable' });
  expect(queue.stats().get('default')).toEqual({ requests: 0, islTokens: 0, cachedTokens: 0 });
});

test('without a threshold nothing waits and the ranks are not looked at', async () => {
  const host = { outlook: () => expect.unreachable(), workers: () => 1, dispatch: (request: number) => request * 2 };
  const queue = new AdmissionQueue<number, number>({ profile: singleClass('fcfs'), host, clock: () => 0 });
  expect(await queue.submit(21, { isl: 5 })).toBe(42);
});

test('classes share tokens by their quanta, however long the prompts are', () => {
  const made = [3, 1].map((quantum, at) => new ClassQueue<string>({ name: `c${at}`, queue: 'fcfs', quantum }));
  for (const [at, queue] of made.entries()) {
    for (let n = 0; n < 400; n++) {
      queue.add({ strictPriority: 0, priorityJump: 0, arrival: n, cost: 1000 + ((n * 37) % 500), isl: 1, cachedTokens: 0, value: `${at}` });
    }
  }
  const turns = new DeficitRoundRobin(made);
  const served = [0, 0];
  for (let n = 0; n < 200; n++) {
    const turn = turns.next(() => true);
    served[turn?.at ?? 0] = (served[turn?.at ?? 0] ?? 0) + (turn?.place.value.cost ?? 0);
  }
  expect(Math.abs((served[0] ?? 0) / (served[1] ?? 1) - 3)).toBeLessThan(0.2);
  // A class that can't go earns nothing meanwhile.
  const before = made[1]?.deficit;
  for (let n = 0; n < 50; n++) turns.next((at) => at === 0);
  expect(made[1]?.deficit).toBe(before);
});

test('an explicit class is chosen by its name alone, all others by family and bucket', () => {
  const profile = readPolicyConfig(flowYaml(classes.yaml), 'policy.yaml').root as PolicyProfile;
  const name = (request: { name?: string; uncachedTokens: number }): string | undefined => profile.classes[classify(profile, request)]?.name;
  expect(name({ uncachedTokens: 0 })).toBe('std-small');
  expect(name({ uncachedTokens: 199, name: 'nope' })).toBe('std-small');
  expect(name({ uncachedTokens: 200, name: 'std' })).toBe('std-big');
  expect(name({ uncachedTokens: 200, name: 'std-small' })).toBe('std-big');
  expect(name({ uncachedTokens: 200, name: 'vip' })).toBe('vip');
});
