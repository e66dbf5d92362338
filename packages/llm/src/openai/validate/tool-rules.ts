import type { ChatTool, ToolChoice } from '../message.ts';
import { refused } from '../failure.ts';
import { isMap } from '../spelling.ts';
import { isBlank } from './rules.ts';
import { checkStrictSchema } from './strict-schema.ts';

/** Most tools of a request, and bytes of a function's name (observed in 1.6.1). */
const limits = { tools: 1536, name: 128 };
const functionName = /^[a-zA-Z0-9_-]+$/;

/** Tools must be callable: named, and with an object as schema. */
export function checkTools(tools: readonly ChatTool[] | null | undefined): void {
  if (tools === undefined || tools === null) return;
  if (tools.length === 0) throw refused('tools array cannot be empty; omit the field entirely to disable tool use');
  if (tools.length > limits.tools) throw refused(`Maximum of ${limits.tools} tools are supported, got ${tools.length}`);
  for (const [index, tool] of tools.entries()) checkFunction(tool.function, index);
}

function checkFunction({ name, parameters, strict }: ChatTool['function'], index: number): void {
  const bytes = Buffer.byteLength(name);
  if (bytes > limits.name) throw refused(`Function name at index ${index} exceeds ${limits.name} character limit, got ${bytes} characters`);
  if (isBlank(name)) throw refused(`Function name at index ${index} cannot be empty`);
  if (!functionName.test(name)) {
    throw refused(`Function at index ${index} has an invalid name: "${name}". Only a-z, A-Z, 0-9, underscores, and dashes are allowed.`);
  }
  if (parameters === undefined || parameters === null) return;
  if (!isMap(parameters)) throw refused(`Function parameters at index ${index} for "${name}" must be a JSON Schema object`);
  if (strict === true) checkStrictSchema(name, parameters);
}

/** The choice must be one of the tools. */
export function checkToolChoice(choice: ToolChoice | null | undefined, tools: readonly ChatTool[] | null | undefined): void {
  if (choice === undefined || choice === null || choice === 'none' || choice === 'auto') return;
  if (choice === 'required') {
    if ((tools ?? []).length === 0) throw refused('tool_choice is "required" but tools is empty');
    return;
  }
  const { name } = choice.function;
  if ((tools ?? []).some((tool) => tool.function.name === name)) return;
  throw refused(`tool named "${name}" in tool_choice is not present in tools`);
}

/** Tools that a system message declares. */
export function checkSystemTools(tools: readonly unknown[]): void {
  for (const [index, tool] of tools.entries()) {
    const what = `dynamic system tool at index ${index}`;
    if (!isMap(tool)) throw refused(`${what} must be a JSON object`);
    const declared = tool as { type?: unknown; function?: unknown; name?: unknown };
    if (declared.type === 'function' && !isMap(declared.function)) throw refused(`${what} with type="function" needs a function object`);
    const { name } = isMap(declared.function) ? (declared.function as { name?: unknown }) : declared;
    if (typeof name !== 'string' || name === '') throw refused(`${what} needs a non-empty string name`);
  }
}
