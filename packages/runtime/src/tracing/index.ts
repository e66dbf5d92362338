import type { Logger } from '../log.ts';
import { otlpExporter } from './otlp/exporter.ts';
import { recordingTracer } from './recording-tracer.ts';
import type { TracingSettings } from './settings.ts';
import type { Tracer } from './tracer.ts';

/** Opens the tracer that the settings describe. This module is loaded only where something is traced. */
export function openTracer(settings: TracingSettings, options: { log: Logger; onDropped: (spans: number) => void }): Tracer {
  const { sampleRatio, warnings } = settings;
  for (const warning of warnings) options.log.warn({}, warning);
  if (settings.export === undefined) return recordingTracer({ sampleRatio });
  const { endpoint, protocol, service } = settings.export;
  options.log.info({ endpoint, protocol, service }, 'OpenTelemetry OTLP export enabled (traces)');
  return recordingTracer({ sampleRatio, exporter: otlpExporter(settings.export, options) });
}
