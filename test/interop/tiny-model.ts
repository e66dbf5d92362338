import { fileURLToPath } from 'node:url';

/** The model folder of almost all tests: token id = byte value, and a few tokens that are marks. */
export const tiny: string = fileURLToPath(new URL('../../vectors/llm/model-tiny', import.meta.url));

const marks: Readonly<Record<string, number>> = { '<tool_call>': 261, '</tool_call>': 262, '<think>': 259, '</think>': 260 };

/** Token ids of a text. */
export const ids = (text: string): number[] =>
  text.split(/(<\/?tool_call>|<\/?think>)/).flatMap((part) => (Object.hasOwn(marks, part) ? [marks[part] as number] : [...Buffer.from(part)]));

/** What a prompt says, without its marks. */
export const promptOf = (tokenIds: readonly number[]): string => Buffer.from(tokenIds.filter((id) => id < 256)).toString();
