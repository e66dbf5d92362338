import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { confined, layers, strangers } from './rules.ts';

interface Manifest {
  readonly name: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** Everything under `root` that crosses a border, one sentence each; none when the tree is in order. */
export function violations(root: string): string[] {
  const found: string[] = [];
  for (const file of globSync('{packages,tools,examples,test}/*/package.json', { cwd: root })) {
    const folder = dirname(file);
    const manifest = JSON.parse(readFileSync(join(root, file), 'utf8')) as Manifest;
    found.push(...manifestViolations(folder, manifest));
    for (const source of globSync(`${folder}/**/*.{ts,mts}`, { cwd: root, exclude: (path) => /(^|\/)(node_modules|dist)$/.test(path) }))
      found.push(...sourceViolations(source, readFileSync(join(root, source), 'utf8'), manifest));
  }
  if (existsSync(join(root, 'package.json'))) {
    const { dependencies = {} } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest;
    for (const name of Object.keys(dependencies)) found.push(`package.json: '${name}' would be visible to every package; the root holds only tools`);
  }
  return found;
}

const every = (manifest: Manifest): string[] =>
  Object.keys({ ...manifest.dependencies, ...manifest.devDependencies, ...manifest.peerDependencies, ...manifest.optionalDependencies });

function manifestViolations(folder: string, manifest: Manifest): string[] {
  const [kind, name = ''] = folder.split('/');
  const allowed = kind === 'packages' ? layers[name] : undefined;
  if (kind === 'packages' && allowed === undefined) return [`${folder}: the package has no line in tools/boundaries/src/rules.ts`];
  const siblings = every(manifest).filter((dependency) => dependency.startsWith('@dynamo/'));
  return siblings
    .filter((sibling) => (allowed ?? (kind === 'tools' ? [sibling.slice(8)] : Object.keys(layers))).includes(sibling.slice(8)) === false)
    .map((sibling) => `${folder} may not depend on ${sibling}`);
}

function sourceViolations(file: string, text: string, manifest: Manifest): string[] {
  return imports(text).flatMap((specifier) => {
    const problem = specifier.startsWith('.') ? relativeProblem(file, specifier) : packageProblem(file, specifier, manifest);
    return problem === undefined ? [] : [`${file}: '${specifier}' ${problem}`];
  });
}

function packageProblem(file: string, specifier: string, manifest: Manifest): string | undefined {
  if (file.startsWith('examples/') && /^@dynamo\/.*\/internal$/.test(specifier)) return 'is plumbing; examples use the doors for users';
  if (!file.startsWith('packages/') || specifier.startsWith('node:')) return undefined;
  // Tests may hold ours against any library: they are not shipped.
  if (/\.(test|bench|contract)\.ts$/.test(file) || file.includes('/testing/')) return undefined;
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
  const home = confined.find((rule) => rule.from.test(name));
  if (home !== undefined && !home.to.test(file.slice('packages/'.length))) return `may only be imported from ${home.to.source}`;
  const shipped = { ...manifest.dependencies, ...manifest.peerDependencies, ...manifest.optionalDependencies };
  return Object.hasOwn(shipped, name) ? undefined : 'is not among the dependencies of its package';
}

function relativeProblem(file: string, specifier: string): string | undefined {
  const [, own, area] = /^packages\/([^/]+)\/src\/([^/]+)\//.exec(file) ?? [];
  const target = posix.join(dirname(file), specifier);
  if (own === undefined || area === undefined) return undefined;
  if (!target.startsWith(`packages/${own}/src/`)) return /\.(test|bench|contract)\.ts$/.test(file) ? undefined : 'leaves its package';
  const other = target.split('/')[3] ?? '';
  return area !== other && strangers.includes(area) && strangers.includes(other) ? `crosses from ${area} to ${other}` : undefined;
}

/** The specifiers of a file's static and dynamic imports, comments left out. */
export function imports(text: string): string[] {
  const code = text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/^\s*\/\/.*$/gm, '');
  const statements = code.matchAll(
    /^\s*(?:import|export)\b[^;'"`]*?\bfrom\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm,
  );
  return [...statements].map(([, from, bare, dynamic]) => (from ?? bare ?? dynamic) as string);
}
