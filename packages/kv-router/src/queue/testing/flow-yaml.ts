/** Reads the little YAML that the vectors are written in: `key: value`, `key:` before a list, and `- {a: b, c: d}` items. */
export function flowYaml(text: string): Record<string, unknown> {
  const document: Record<string, unknown> = {};
  let list: unknown[] = [];
  for (const line of text.split('\n').filter((each) => each.trim() !== '')) {
    const item = /^\s+- \{(.*)\}$/.exec(line)?.[1];
    if (item !== undefined) {
      list.push(Object.fromEntries(item.split(', ').map((pair) => [pair.split(': ')[0], scalar(pair.split(': ')[1] ?? '')])));
      continue;
    }
    const [, key = '', value = ''] = /^([^:]+):\s*(.*)$/.exec(line) ?? [];
    const flow = /^\{(.*)\}$/.exec(value)?.[1];
    document[key] = value === '' ? (list = []) : flow === undefined ? scalar(value) : Object.fromEntries([flow.split(': ')]);
  }
  return document;
}

const scalar = (text: string): unknown => (text === "''" ? '' : /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text === '.nan' ? NaN : text);
