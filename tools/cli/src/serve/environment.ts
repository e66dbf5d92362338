type Environment = Readonly<Record<string, string | undefined>>;

/** Variables of one machine's stack: discovery in a folder of its own, internal planes on loopback unless they were set. */
export function stackEnvironment(env: Environment, root: string): Readonly<Record<string, string>> {
  return {
    DYN_FILE_KV: root,
    DYN_TCP_RPC_HOST: env['DYN_TCP_RPC_HOST'] || '127.0.0.1',
    DYN_TCP_RESPONSE_STREAM_HOST: env['DYN_TCP_RESPONSE_STREAM_HOST'] || '127.0.0.1',
  };
}

/** Variables of each worker: several processes can't share a fixed port, and only the workers' parent decides on a drain. */
export const workerEnvironment: Readonly<Record<string, string>> = {
  DYN_TCP_RPC_PORT: '0',
  DYN_TCP_RESPONSE_STREAM_PORT: '0',
  DYN_SYSTEM_PORT: '-1',
  DYN_GRACEFUL_SHUTDOWN_GRACE_PERIOD_SECS: '0',
};
