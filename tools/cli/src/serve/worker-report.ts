/** What a worker process tells its parent once it can be called. */
export interface WorkerReport {
  readonly type: 'ready';
  /** Instance id in hex. */
  readonly instance: string;
  /** `HOST:PORT` of its request plane. */
  readonly address: string;
  readonly endpoint: string;
}

/** Whether a message of a child is a report. */
export const isReport = (message: unknown): message is WorkerReport =>
  typeof message === 'object' && message !== null && Reflect.get(message, 'type') === 'ready';
