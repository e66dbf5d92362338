/** Labels that the real system stamps on its hierarchy, and that nobody sets by hand there (spec metrics 2). */
export const automaticLabels: readonly string[] = ['dynamo_namespace', 'dynamo_component', 'dynamo_endpoint', 'worker_id'];

/** Keeps `[a-zA-Z0-9_:]`, everything else becomes `_`; a leading digit gets one before it (spec metrics 2). */
export function metricName(name: string): string {
  const cleaned = name.replace(/[^a-zA-Z0-9_:]/gu, '_').replace(/^(?=\d)/, '_');
  if (name === '') throw new TypeError('Cannot sanitize empty string into valid Prometheus name');
  if (/^_*$/.test(cleaned))
    throw new TypeError(`Input '${name}' contains only invalid characters and cannot be sanitized into a valid Prometheus name`);
  return cleaned;
}

/** A namespace's, component's or endpoint's name as a label value (spec metrics 2). */
export function labelValue(name: string): string {
  if (name === '') throw new TypeError('Cannot sanitize empty string into valid Prometheus label');
  let value = name.replace(/[^a-zA-Z0-9_]/gu, '_').replace(/^(?![a-zA-Z_])/, '_');
  if (value.startsWith('__')) value = value.slice(2).replace(/^(?![a-zA-Z])/, '_');
  if (/^_*$/.test(value))
    throw new TypeError(`Input '${name}' contains only invalid characters and cannot be sanitized into a valid Prometheus label`);
  return value;
}

/** @throws TypeError for a name that the text format has no room for. */
export function checkLabelName(name: string): void {
  if (!/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name) || name === 'le') throw new TypeError(`Error: '${name}' is not a valid label name`);
}
