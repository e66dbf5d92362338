/** Which addresses media may come from, and how much of it: every limit has its own default. */
export interface FetchOptions {
  /**
   * `frontend` is what a 1.6.1 frontend enforces, `worker` what its Python workers do: https only, ports and public addresses
   * allowed (spec multimodal 3). Default `frontend`.
   */
  policy?: 'frontend' | 'worker';
  /** Default `dynamo-ai/dynamo`. */
  userAgent?: string;
  /** Longest time from the first look-up to the last byte, redirects included, ms. Default 30,000. */
  timeoutMs?: number;
  /** Whether a host may be an IP address. Default false. Only for `frontend`. */
  allowDirectIp?: boolean;
  /** Whether a URL may name another port. Default false. Only for `frontend`. */
  allowDirectPort?: boolean;
  /** Whether hosts may lie inside private networks; for `worker`, plain http as well. Default false. */
  allowPrivateIps?: boolean;
  /** The only hosts that are asked; compared whole. Default: any. */
  allowedDomains?: readonly string[];
  /** Most bytes of one answer as sent. Default 100 MiB. */
  maxBytes?: number;
  /** Most bytes of one answer after its content coding is undone. Default 100 MiB. */
  maxInflatedBytes?: number;
  /** Longest `data:` URL, in characters. Default 16 MiB. */
  maxDataUrlChars?: number;
  /** Most redirects in a row. Default 3. */
  maxRedirects?: number;
  /** Folder under which `file:` URLs may be read, for `worker`. Default: none are. */
  localPath?: string;
}

/** `FetchOptions` with every default in its place. */
export type FetchRules = Required<Omit<FetchOptions, 'allowedDomains' | 'localPath'>> & Pick<FetchOptions, 'allowedDomains' | 'localPath'>;

/** What the environment may say: the names of 1.6.1 (spec multimodal 1, 3). */
export interface FetchEnvironment {
  readonly DYN_MM_ALLOW_INTERNAL?: string | undefined;
  readonly DYN_MM_MAX_DATA_URL_MB?: string | undefined;
  readonly DYN_MM_LOCAL_PATH?: string | undefined;
}

const mebi = 1024 * 1024;

/** Puts the defaults in: those of the spec, each for itself, after options and environment. */
export function fetchRules(options: FetchOptions = {}, environment: FetchEnvironment = {}): FetchRules {
  const internal = environment.DYN_MM_ALLOW_INTERNAL === '1';
  const localPath = options.localPath ?? (environment.DYN_MM_LOCAL_PATH || undefined);
  return {
    policy: options.policy ?? 'frontend',
    userAgent: options.userAgent ?? 'dynamo-ai/dynamo',
    timeoutMs: options.timeoutMs ?? 30_000,
    allowDirectIp: options.allowDirectIp ?? internal,
    allowDirectPort: options.allowDirectPort ?? internal,
    allowPrivateIps: options.allowPrivateIps ?? internal,
    maxBytes: options.maxBytes ?? 100 * mebi,
    maxInflatedBytes: options.maxInflatedBytes ?? 100 * mebi,
    maxDataUrlChars: options.maxDataUrlChars ?? (Number(environment.DYN_MM_MAX_DATA_URL_MB) || 16) * mebi,
    maxRedirects: options.maxRedirects ?? 3,
    ...(options.allowedDomains !== undefined && { allowedDomains: options.allowedDomains }),
    ...(localPath !== undefined && { localPath }),
  };
}
