import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** A Python peer that answers each line with one. */
export interface Dialogue extends AsyncDisposable {
  /** Numbers beyond what a double holds come as text. */
  ask<Answer>(request: Record<string, unknown>): Promise<Answer>;
}

/** Starts a peer that reads questions and prints answers, both as JSON lines. */
export function startDialogue(python: string, script: string, options: { args?: readonly string[]; env: Record<string, string> }): Dialogue {
  const child = spawn(python, [fileURLToPath(new URL(`peers/${script}`, import.meta.url)), ...(options.args ?? [])], {
    env: { ...process.env, ...options.env },
    stdio: ['pipe', 'pipe', process.env['INTEROP_VERBOSE'] ? 'inherit' : 'ignore'],
  });
  const ended = once(child, 'close');
  const waiting: ((line: string) => void)[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    // Its logs go to the same place.
    if (/^[[{]/.test(line)) waiting.shift()?.(line);
  });
  const answer = (): Promise<string> => new Promise((resolve) => waiting.push(resolve));
  return {
    async ask<Answer>(request: Record<string, unknown>) {
      const line = answer();
      child.stdin.write(`${JSON.stringify(request, (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value))}\n`);
      return JSON.parse((await line).replaceAll(/([:[]\s*)(\d{16,})(?=[,}\]])/g, '$1"$2"')) as Answer;
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
