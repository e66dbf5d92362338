import { expect, test } from 'vitest';
import { Float } from '@dynamo/runtime/internal';
import { parseChatRequest } from './chat.ts';
import { parseCompletionRequest, promptsOf } from './completions.ts';

const chat = (members: string): string => `{"model":"m","messages":[{"role":"user","content":"x"}],${members}}`;
const prefix = 'Failed to deserialize the JSON body into the target type: ';

test('nesting ends at a depth, not at a stack', () => {
  const deep = `${'['.repeat(126)}${']'.repeat(126)}`;
  expect(parseChatRequest(chat(`"metadata":${deep}`)).metadata).toBeDefined();
  expect(() => parseChatRequest(chat(`"metadata":[${deep}]`))).toThrow('recursion limit exceeded');
  expect(() => parseChatRequest('{"messages":'.repeat(1_000_000))).toThrow('recursion limit exceeded');
});

test('a name from the prototype is a name like any other', () => {
  expect(() => parseChatRequest(chat('"__proto__":{"stream":true}'))).toThrow('Unsupported parameter(s): `__proto__`');
  expect(() => parseChatRequest(chat('"constructor":1'))).toThrow('Unsupported parameter(s): `constructor`');
  const { tools } = parseChatRequest(chat('"tools":[{"type":"function","function":{"name":"f","parameters":{"__proto__":{"a":1.0}}}}]'));
  const parameters = tools?.[0]?.function.parameters as object;
  expect(Object.getPrototypeOf(parameters)).toBe(Object.prototype);
  expect(Object.keys(parameters)).toEqual(['__proto__']);
});

test('numbers keep their kind and digits where engines see them', () => {
  const request = parseChatRequest(chat('"guided_json":{"a":1.0,"b":18446744073709551615,"c":0.5},"temperature":1.0,"seed":9223372036854775807'));
  expect(request.guided_json).toEqual({ a: new Float(1), b: 18446744073709551615n, c: new Float(0.5) });
  expect(request.temperature).toBe(1);
  expect(request.seed).toBe(9223372036854775807n);
  expect(() => parseChatRequest(chat('"n":1.0'))).toThrow('invalid type: floating point `1.0`, expected u8');
  expect(() => parseChatRequest(chat(`"n":${'9'.repeat(400)}`))).toThrow('number out of range');
});

test('half a surrogate pair is refused, a whole one is not', () => {
  expect(parseChatRequest(chat('"user":"\\ud83d\\ude00"')).user).toBe('😀');
  expect(parseChatRequest(chat('"user":"\\\\ud83d"')).user).toBe('\\ud83d');
  expect(() => parseChatRequest(chat('"user":"\\ud83d"'))).toThrow('unexpected end of hex escape');
  expect(() => parseChatRequest(chat('"user":"\\ude00"'))).toThrow('lone leading surrogate in hex escape');
});

test('a body of megabytes is read', () => {
  const url = `data:image/png;base64,${'A'.repeat(8_000_000)}`;
  const body = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url } }] }] });
  expect(parseChatRequest(body).messages).toHaveLength(1);
  expect(() => parseChatRequest(`{"model":"${'\\\\'.repeat(2_000_000)}`)).toThrow('EOF while parsing a string');
  expect(() => parseChatRequest('"'.repeat(2_000_000))).toThrow(`${prefix}invalid type: string "", expected struct`);
});

test('columns are bytes, lines are counted', () => {
  expect(() => parseChatRequest('{"model":"é",\n"é":é}')).toThrow(`${prefix}expected value at line 2 column 6`);
});

test('prompts are listed one by one', () => {
  const prompts = (members: string): unknown => promptsOf(parseCompletionRequest(`{"model":"m",${members}}`));
  expect(prompts('"prompt":"a"')).toEqual(['a']);
  expect(prompts('"prompt":["a","b"]')).toEqual(['a', 'b']);
  expect(prompts('"prompt":[1,2]')).toEqual([[1, 2]]);
  expect(prompts('"prompt":[[1],[2,3]]')).toEqual([[1], [2, 3]]);
  expect(prompts('"prompt":["a","b"],"nvext":{"token_data":[7]}')).toEqual([[7], [7]]);
  expect(prompts('"prompt":[1,2],"nvext":{"token_data":[7]}')).toEqual([[1, 2]]);
  expect(prompts(`"prompt":"","prompt_embeds":"${'A'.repeat(400)}"`)).toEqual([[]]);
});
