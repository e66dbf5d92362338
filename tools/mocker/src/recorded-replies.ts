import { DynamoError } from '@dynamo/runtime';
import { readFile } from 'node:fs/promises';

/** Answers by the id that a request names them by. */
export type RecordedReplies = ReadonlyMap<string, readonly number[]>;

/**
 * Reads the answers of a trace: each line's `output_token_ids`, under its `request_id` and under its number from 0.
 *
 * @throws DynamoError `invalid_argument` with the number of the line.
 */
export async function readReplies(path: string): Promise<RecordedReplies> {
  const replies = new Map<string, readonly number[]>();
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new DynamoError(
      'invalid_argument',
      `failed to open response replay trace ${path}: ${cause instanceof Error ? cause.message : String(cause)}`,
      {
        cause,
      },
    );
  });
  let rows = 0;
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const row = parsed(line, path, index + 1);
    const ids = row['output_token_ids'];
    if (Array.isArray(ids)) {
      replies.set(String(rows), ids as number[]);
      if (typeof row['request_id'] === 'string') replies.set(row['request_id'], ids as number[]);
    }
    rows++;
  }
  return replies;
}

function parsed(line: string, path: string, number: number): Readonly<Record<string, unknown>> {
  try {
    const row: unknown = JSON.parse(line);
    if (typeof row === 'object' && row !== null) return row as Record<string, unknown>;
  } catch {
    // Told below.
  }
  throw new DynamoError('invalid_argument', `failed to parse line ${number} from ${path} as JSON`, { data: { line: number } });
}

/** The answer that a request asks for by an annotation `output_replay_id:ID`. */
export function replyFor(annotations: readonly string[] | undefined, replies: RecordedReplies | undefined): readonly number[] | undefined {
  const prefix = 'output_replay_id:';
  const named = annotations?.find((annotation) => annotation.startsWith(prefix));
  return named === undefined ? undefined : replies?.get(named.slice(prefix.length));
}
