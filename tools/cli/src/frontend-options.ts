import type { FrontendOptions } from '@dynamo/llm';
import type { Settings } from './settings.ts';

/** The frontend's options out of the settings; absent stays absent, so that the library's defaults count. */
export function frontendOptions({ frontend, namespace, modelPath }: Settings): FrontendOptions {
  const { http, router, namespacePrefix, metricsPrefix, bodyLimitMb, migrationLimit, migrationMaxSequence } = frontend;
  return {
    http,
    router,
    bodyLimitMb,
    migrationLimit,
    ...(migrationMaxSequence === undefined ? {} : { migrationMaxSequence }),
    ...(namespace === undefined ? {} : { namespace }),
    ...(namespacePrefix === undefined ? {} : { namespacePrefix }),
    ...(metricsPrefix === undefined ? {} : { metricsPrefix }),
    ...(modelPath === undefined ? {} : { modelPath }),
  };
}
