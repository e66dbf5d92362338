import { createReadStream } from 'node:fs';
import { access, type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname, format, parse } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { DynamoError } from '@dynamo/runtime';
import type { RouterEvent } from '../wire/kv-event.ts';
import { decodeRecorded, encodeRecorded, type RecordedEntry } from '../wire/recording.ts';

/** How long a recording goes on, and how it is cut into files. */
export interface KvRecorderOptions {
  /** Lines of one file, after which the next one begins: its number stands before the extension. No limit by default. */
  maxLinesPerFile?: number;
  /** Events after which nothing more is recorded. No limit by default. */
  maxEvents?: number;
  /** Milliseconds after which nothing more is recorded. No limit by default. */
  maxTimeMs?: number;
  /** Bytes that may wait for the disk; what comes beyond is left out, and counted. Default 64 MiB. */
  maxWaitingBytes?: number;
}

/** How a recording is read. */
export interface ReplayOptions {
  /** Waits between events as long as it took when they were recorded. Default false. */
  timed?: boolean;
  maxEvents?: number;
  /** Only what was recorded within so many milliseconds. */
  maxTimeMs?: number;
  signal?: AbortSignal;
}

/** Records one line of any kind: for the recorder of a whole router. */
export let recordLine: (recorder: KvRecorder, entry: RecordedEntry, timestamp: number) => void;

/**
 * Writes KV events, and what a router decides, as JSON lines: `{"timestamp": ms, "event": …}` (spec kv-router 21).
 *
 * Writing never waits: lines gather while the disk is busy.
 */
export class KvRecorder implements AsyncDisposable {
  static {
    recordLine = (recorder, entry, timestamp) => recorder.#record(entry, timestamp);
  }

  readonly #path: string;
  readonly #options: KvRecorderOptions;
  readonly #clock: () => number;
  readonly #began: number;
  #file: FileHandle;
  #files = 0;
  #linesInFile = 0;
  #events = 0;
  #waiting: string[] = [];
  #waitingBytes = 0;
  #lost = 0;
  #lostTotal = 0;
  #writing: Promise<void> | undefined;
  #failure: unknown;
  #closed = false;

  private constructor(path: string, file: FileHandle, options: KvRecorderOptions, clock: () => number) {
    this.#path = path;
    this.#file = file;
    this.#options = options;
    this.#clock = clock;
    this.#began = clock();
  }

  /** Opens a recording; what the file held is gone. */
  static async open(path: string, options: KvRecorderOptions = {}, clock: () => number = () => performance.now()): Promise<KvRecorder> {
    for (const [name, limit] of Object.entries(options))
      if (limit !== undefined && !(limit > 0)) throw new DynamoError('invalid_argument', `${name} must be above 0, got ${String(limit)}`);
    await mkdir(dirname(path), { recursive: true });
    return new KvRecorder(path, await open(path, 'w'), options, clock);
  }

  /** How many events were recorded. */
  get eventCount(): number {
    return this.#events;
  }

  /** Milliseconds since the recording began. */
  get elapsedMs(): number {
    return this.#clock() - this.#began;
  }

  /** Lines that were left out, since the disk was slower. */
  get lostLines(): number {
    return this.#lostTotal;
  }

  /** Records one event. */
  event(event: RouterEvent): void {
    this.#record({ kind: 'event', event }, this.elapsedMs);
  }

  #record(entry: RecordedEntry, timestamp: number): void {
    const { maxEvents = Infinity, maxTimeMs = Infinity, maxWaitingBytes = 64 * 2 ** 20 } = this.#options;
    if (this.#closed || this.#failure !== undefined || this.#events >= maxEvents || timestamp > maxTimeMs) return;
    if (this.#waitingBytes > maxWaitingBytes) {
      this.#lost++;
      this.#lostTotal++;
      return;
    }
    if (this.#lost > 0) {
      this.#add(encodeRecorded(timestamp, { kind: 'lost', lines: this.#lost }));
      this.#lost = 0;
    }
    if (entry.kind === 'event') this.#events++;
    this.#add(encodeRecorded(timestamp, entry));
    this.#writing ??= this.#write();
  }

  /** Writes what waits and closes the file; throws what writing has failed with. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#writing;
    await this.#file.close();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /**
   * Hands a recording's events to an index, or to whoever takes them, and says how many there were.
   *
   * @throws DynamoError `backend_protocol` for a line that is none of a recording.
   */
  static async replay(path: string, apply: (event: RouterEvent) => void, options: ReplayOptions = {}): Promise<number> {
    const { timed = false, maxEvents = Infinity, maxTimeMs = Infinity, signal } = options;
    let count = 0;
    let before: number | undefined;
    for await (const { timestamp, entry } of readRecording(path)) {
      if (entry.kind !== 'event') continue;
      signal?.throwIfAborted();
      if (count >= maxEvents || timestamp > maxTimeMs) break;
      if (timed && before !== undefined && timestamp > before) await sleep(timestamp - before, undefined, signal === undefined ? {} : { signal });
      before = timestamp;
      apply(entry.event);
      count++;
    }
    return count;
  }

  #add(line: string): void {
    this.#waiting.push(line);
    this.#waitingBytes += line.length + 1;
  }

  async #write(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        const room = (this.#options.maxLinesPerFile ?? Infinity) - this.#linesInFile;
        if (room <= 0) {
          await this.#rotate();
          continue;
        }
        const lines = this.#waiting.splice(0, Math.min(room, 4_096));
        const text = `${lines.join('\n')}\n`;
        this.#linesInFile += lines.length;
        await this.#file.write(text);
        this.#waitingBytes -= text.length;
      }
    } catch (error) {
      this.#failure = error;
      this.#waiting = [];
    } finally {
      this.#writing = undefined;
    }
  }

  async #rotate(): Promise<void> {
    await this.#file.close();
    this.#files++;
    this.#file = await open(partOf(this.#path, this.#files), 'w');
    this.#linesInFile = 0;
  }
}

/** Name of a recording's later file: its number stands before the extension. */
function partOf(path: string, number: number): string {
  const { dir, name, ext } = parse(path);
  return format({ dir, name: `${name}${number}`, ext });
}

/**
 * Reads a recording line by line, all of its files.
 *
 * A last line that is cut, as a killed process leaves it, is passed over.
 *
 * @throws DynamoError `backend_protocol` naming the line that can't be read.
 */
export async function* readRecording(path: string): AsyncGenerator<{ readonly timestamp: number; readonly entry: RecordedEntry }> {
  for (let number = 0; ; number++) {
    const part = number === 0 ? path : partOf(path, number);
    if (number > 0 && !(await exists(part))) return;
    let at = 0;
    let cut: unknown;
    for await (const line of createInterface({ input: createReadStream(part), crlfDelay: Infinity })) {
      at++;
      if (cut !== undefined) throw cut;
      if (line === '') continue;
      let read: ReturnType<typeof decodeRecorded>;
      try {
        read = decodeRecorded(line);
      } catch (cause) {
        cut = new DynamoError(
          'backend_protocol',
          `${part}:${at} is no line of a recording: ${cause instanceof Error ? cause.message : String(cause)}`,
          { cause },
        );
        continue;
      }
      if (read !== undefined) yield read;
    }
    if (cut !== undefined && at === 1) throw cut;
  }
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
