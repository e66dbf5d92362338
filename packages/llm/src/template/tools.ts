import { isRecord } from './messages.ts';

/**
 * Tools as templates see them (observed in 1.6.1): members in a fixed order, an object schema always with `type` and
 * `properties`, a description always there.
 */
export function templateTools(tools: readonly unknown[]): unknown[] {
  return tools.map((tool) => {
    if (!isRecord(tool) || !isRecord(tool['function'])) return tool;
    return { type: tool['type'] ?? 'function', function: functionOf(tool['function']) };
  });
}

function functionOf(given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { name, description = null, parameters = null, strict = null } = given;
  const made: Record<string, unknown> = { name };
  if (description !== null) made['description'] = description;
  if (parameters !== null) made['parameters'] = isRecord(parameters) ? schemaOf(parameters) : parameters;
  if (strict !== null) made['strict'] = strict;
  if (description === null) made['description'] = '';
  return made;
}

function schemaOf(parameters: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const hasType = parameters['type'] !== undefined;
  const hasProperties = parameters['properties'] !== undefined;
  if (hasType && hasProperties) return parameters;
  return { ...parameters, ...(hasType ? {} : { type: 'object' }), ...(hasProperties ? {} : { properties: {} }) };
}
