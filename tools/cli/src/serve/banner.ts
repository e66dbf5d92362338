import { reachable } from '../address.ts';
import type { RunningWorker } from './worker-pool.ts';

/** What runs where. */
export interface Scene {
  /** Address that the frontend listens on. */
  readonly address: string;
  readonly model: string;
  readonly engine: string;
  readonly workers: ReadonlyMap<number, RunningWorker>;
  /** Folder of file discovery. */
  readonly root: string;
}

/** The banner: what runs where, and a command that can be pasted as it stands. */
export function banner(scene: Scene): string {
  const url = reachable(scene.address);
  const workers = [...scene.workers].toSorted(([a], [b]) => a - b);
  return [
    'Dynamo is ready.',
    '',
    `  frontend   ${url}, listens on ${scene.address.replace('http://', '')} (pid ${process.pid})`,
    ...workers.map(
      ([index, worker]) => `  worker ${index + 1}   ${worker.address}, ${scene.engine} engine (pid ${worker.pid}, instance ${worker.instance})`,
    ),
    `  discovery  files in ${scene.root}`,
    '',
    `Ask model '${scene.model}':`,
    '',
    `  ${curl(url, { model: scene.model, messages: [{ role: 'user', content: 'Hello! Every word comes back.' }] })}`,
    '',
    'Or watch the answer stream:',
    '',
    `  ${curl(url, { model: scene.model, stream: true, messages: [{ role: 'user', content: 'One token after the other.' }] }, '-sN')}`,
    '',
    'Ctrl-C ends it all, once running answers are done.',
    '',
  ].join('\n');
}

const curl = (url: string, body: object, flag = '-s'): string =>
  `curl ${flag} ${url}/v1/chat/completions -H 'content-type: application/json' -d ${quote(JSON.stringify(body))}`;

/** Single quotes for a POSIX shell. */
const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
