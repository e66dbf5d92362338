import type { FrontendOptions } from '@dynamo/llm';
import { routerOptions } from './router-options.ts';
import type { Settings } from './settings.ts';
import { UsageError } from './usage.ts';

/** The frontend's options out of the settings; absent stays absent, so that the library's defaults count. */
export function frontendOptions(settings: Settings): FrontendOptions {
  const { frontend, namespace, modelPath } = settings;
  const {
    http,
    namespacePrefix,
    metricsPrefix,
    bodyLimitMb,
    migrationLimit,
    migrationMaxSequence,
    limits,
    drainSeconds,
    without = {},
    tls,
    keysPath,
    admin,
    reusePort,
    kserve,
    grpcMetricsPort,
  } = frontend;
  if (http.responses?.store === 'file' && http.responses.folder === undefined)
    throw new UsageError('--responses-store file needs the folder to keep them in: --responses-folder');
  return {
    http: {
      ...http,
      ...(kserve ? { port: grpcMetricsPort } : {}),
      ...(reusePort ? { reusePort } : {}),
      ...(tls === undefined ? {} : { tls }),
      ...(without.admin === true ? { admin: false } : {}),
      ...(without.nvext === true ? { nvext: false } : {}),
    },
    // The ports change places: what listens for requests is where clients look for the frontend.
    ...(kserve ? { grpc: { host: http.host, port: http.port, ...(reusePort ? { reusePort } : {}), ...(tls === undefined ? {} : { tls }) } } : {}),
    access: { admin, ...(keysPath === undefined ? {} : { keysPath }) },
    router: routerOptions(settings),
    bodyLimitMb,
    migrationLimit,
    ...(limits === undefined ? {} : { limits: limitsOf(limits) }),
    ...(drainSeconds === undefined ? {} : { drainMs: drainSeconds * 1_000 }),
    ...(migrationMaxSequence === undefined ? {} : { migrationMaxSequence }),
    ...(namespace === undefined ? {} : { namespace }),
    ...(namespacePrefix === undefined ? {} : { namespacePrefix }),
    ...(metricsPrefix === undefined ? {} : { metricsPrefix }),
    ...(modelPath === undefined ? {} : { modelPath }),
  };
}

/** Seconds become milliseconds; the other limits have their names and units. */
const limitsOf = (limits: NonNullable<Settings['frontend']['limits']>): NonNullable<FrontendOptions['limits']> =>
  Object.fromEntries(
    Object.entries(limits).map(([name, value]) => (name.endsWith('Seconds') ? [name.replace('Seconds', 'Ms'), value * 1_000] : [name, value])),
  );
