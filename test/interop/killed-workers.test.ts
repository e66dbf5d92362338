import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { type Frontend, Llm } from '@dynamo/llm';
import { DistributedRuntime } from '@dynamo/runtime';
import { OpenAI } from 'openai';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { scene } from './python.ts';
import { recital } from './recital.ts';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const tiny = here('../../vectors/llm/model-tiny');
const kills = 100;
const lanes = 50;
/** Workers that are up or on their way up. */
const places = 5;

/** Workers in processes of their own, each followed by another when it dies. */
class Workers implements AsyncDisposable {
  /** Those that serve, by their instances, the oldest first. */
  readonly serving = new Map<string, ChildProcess>();
  readonly #all = new Set<ChildProcess>();
  readonly #env: NodeJS.ProcessEnv;
  #closed = false;

  constructor(env: Record<string, string>) {
    this.#env = { ...process.env, ...env };
    for (let i = 0; i < places; i++) this.#start();
  }

  #start(): void {
    const child = spawn(process.execPath, ['--conditions=@dynamo/source', here('peers/reciter.ts'), tiny], {
      env: this.#env,
      stdio: ['ignore', 'pipe', process.env['INTEROP_VERBOSE'] ? 'inherit' : 'ignore'],
    });
    this.#all.add(child);
    let instance = '';
    child.stdout.once('data', (line: Buffer) => this.serving.set((instance = line.toString().trim()), child));
    child.once('close', () => {
      this.#all.delete(child);
      this.serving.delete(instance);
      if (!this.#closed) this.#start();
    });
  }

  /** Kills the one that has served longest, and waits until it is dead. */
  async kill(): Promise<void> {
    const [oldest] = this.serving;
    if (oldest === undefined) throw new Error('nobody serves');
    const [instance, child] = oldest;
    this.serving.delete(instance);
    const dead = once(child, 'close');
    child.kill('SIGKILL');
    await dead;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await Promise.all(
      [...this.#all].map(async (child) => {
        const dead = once(child, 'close');
        child.kill('SIGKILL');
        await dead;
      }),
    );
  }
}

const stack = new AsyncDisposableStack();
let frontend: Frontend;
let openai: OpenAI;
let workers: Workers;

beforeAll(async () => {
  const { env, root } = stack.use(await scene());
  Object.assign(process.env, env);
  // Read once, the workers' code is compiled for all of them.
  workers = stack.use(new Workers({ ...env, NODE_COMPILE_CACHE: `${root}-compiled` }));
  stack.defer(() => rm(`${root}-compiled`, { recursive: true, force: true }));
  const runtime = stack.use(await DistributedRuntime.connect());
  frontend = stack.use(await new Llm(runtime).frontend({ http: { host: '127.0.0.1', port: 0 }, migrationLimit: 1_000 }));
  openai = new OpenAI({ baseURL: `${frontend.address}/v1`, apiKey: 'none', maxRetries: 0 });
  await vi.waitFor(() => expect(frontend.models).toEqual(['reciter']), 50_000);
});
afterAll(() => stack.disposeAsync());

test(`${kills} workers are killed under ${lanes} streams, and no text, end or count is lost`, { timeout: 300_000 }, async () => {
  const wrong: string[] = [];
  let [killed, chunks, streams] = [0, 0, 0];

  const recite = async (name: string): Promise<void> => {
    let text = '';
    let finish: string | null | undefined;
    let usage: OpenAI.CompletionUsage | null | undefined;
    for await (const chunk of await openai.chat.completions.create({
      model: 'reciter',
      messages: [{ role: 'user', content: `recital ${name}` }],
      stream: true,
      stream_options: { include_usage: true },
    })) {
      chunks++;
      text += chunk.choices[0]?.delta.content ?? '';
      finish = chunk.choices[0]?.finish_reason ?? finish;
      usage = chunk.usage ?? usage;
    }
    streams++;
    const counted = [usage?.prompt_tokens, usage?.completion_tokens, usage?.total_tokens];
    const prompt = 19 + `recital ${name}`.length;
    const answer = Buffer.byteLength(recital(name));
    if (text !== recital(name)) wrong.push(`${name} is ${JSON.stringify(text)}`);
    if (finish !== 'stop') wrong.push(`${name} ended in ${finish}`);
    if (counted.join() !== [prompt, answer, prompt + answer].join()) wrong.push(`${name} was counted as ${counted.join()}`);
  };
  const known = async (): Promise<number> => {
    const health = await (await fetch(`${frontend.address}/health`)).text();
    return [...workers.serving.keys()].filter((id) => health.includes(`"instance_id":${id}`)).length;
  };
  const lane = async (_: unknown, number: number): Promise<void> => {
    for (let turn = 0; killed < kills; turn++)
      await recite(`${turn * lanes + number}`).catch((error: unknown) => wrong.push(`${turn * lanes + number} failed: ${String(error)}`));
  };
  const killing = async (): Promise<void> => {
    for (let seen = chunks; killed < kills; killed++) {
      // Answers have gone on since the last death, and the frontend knows of others that can take over.
      while (chunks < seen + lanes || (await known()) < 3) await new Promise((resolve) => setTimeout(resolve, 20));
      await workers.kill();
      seen = chunks;
    }
  };
  await Promise.all([killing(), ...Array.from({ length: lanes }, lane)]);

  expect(wrong.slice(0, 10)).toEqual([]);
  expect(streams).toBeGreaterThanOrEqual(lanes);
  const metrics = await (await fetch(`${frontend.address}/metrics`)).text();
  const moved = Number(/model_migration_total\{migration_type="ongoing_request",model="reciter"\} (\d+)/.exec(metrics)?.[1]);
  expect(moved).toBeGreaterThan(kills);
  expect(metrics).toContain('dynamo_frontend_inflight_requests{model="reciter"} 0');
  console.log(`${killed} workers killed, ${streams} streams, ${moved} moves in the midst of an answer`);
});
