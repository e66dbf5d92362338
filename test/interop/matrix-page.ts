import { noSuchCall, refusedAlike } from './matrix-judge.ts';
import { drained, large, verbs } from './matrix-plan.ts';
import { transports } from './event-peers.ts';

/** A row of a table: who and what, and the cells. */
export type Row = readonly string[];

/** The tables as docs/interop.md has them. */
export const callTable = (rows: readonly Row[]): string => table(['client', 'worker', 'discovery', 'plane', ...verbs], rows);
export const eventTable = (rows: readonly Row[]): string => table(['publisher', 'subscriber', ...transports], rows);

function table(head: Row, rows: readonly Row[]): string {
  const widths = head.map((name, column) => Math.max(...[head, ...rows].map((row) => (row[column] ?? '').length), name.length));
  const line = (row: Row): string => `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  return [line(head), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...rows.map(line)].join('\n');
}

/** The page that the suite writes. */
export const page = (calls: readonly Row[], events: readonly Row[]): string => `# Interop with the real ai-dynamo 1.6.1

Written by \`test/interop/matrix.test.ts\` from what it has just seen; the test fails when this page says something else, and
\`npm run test:interop -- matrix -u\` writes it anew. "Theirs" are processes of the Python runtime, "ours" are processes of this
one; discovery goes through a folder or a real etcd, requests over TCP or a real nats-server. Rows of theirs with theirs are the
baseline: what fails there too is not ours to mend.

## Calls

${callTable(calls)}

- unary: one item with numbers, null and text, equal at both ends.
- stream: 1,000 items in order.
- cancel: the caller asks to stop after three items (\`AbortSignal\`, \`stop_generating()\`); the handler sees the stop and no kill.
- kill: the caller leaves the loop after three items; the handler sees the kill.
- error: the handler raises after two items; the caller gets both and then the error by class and text.
- large payload: ${large.request >> 20} MiB up and ${large.request >> 20} MiB down. Over NATS, "${refusedAlike}": ${large.fitsNats.toLocaleString('en')} letters up and ${large.request >> 20} MiB down pass (answers
  never travel over NATS), and ${large.request >> 20} MiB up are more than the server's \`max_payload\`: either client refuses before it sends,
  ours with \`payload_too_large\`, theirs with \`InvalidRequest\`, and the next call is answered.
- bidirectional: 50 items in, each answered, and one answer more after the end of the input. "${noSuchCall}": the real client can
  send a single item only. What a caller of two-way streams sends its worker is held by ours with theirs.
- drain: SIGTERM while a stream of ${drained} items runs: all arrive, a new call finds no worker, and the process ends with 0.

## Events

${eventTable(events)}

Both publishers and both subscribers are there at once: 50 events and more of each publisher arrive in order and without a hole.
The broker is a plain ZMQ proxy.
`;
