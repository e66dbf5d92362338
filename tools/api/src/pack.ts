import { execFile } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

// Packs every built package as npm would and asks publint and attw whether others can import it. Leaves with 1 on a finding.
const run = promisify(execFile);
const root = join(import.meta.dirname, '..', '..', '..');
const into = mkdtempSync(join(tmpdir(), 'dynamo-pack-'));

/** What a tool says of a tarball; nothing when it is content. */
async function complaint(tool: string, args: readonly string[]): Promise<string | undefined> {
  try {
    await run(tool, args);
    return undefined;
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    return `${tool}: ${`${stdout}${stderr}`.trim() || String(error)}`;
  }
}

/** Every door's files must have been built: a tarball without them would tell nothing. */
function missingFiles(folder: string, doors: Readonly<Record<string, unknown>>): string[] {
  const files = Object.values(doors).flatMap((door) => (typeof door === 'object' && door !== null ? Object.entries(door) : []));
  return files.flatMap(([condition, file]) => (condition !== '@dynamo/source' && !existsSync(join(folder, String(file))) ? [String(file)] : []));
}

async function judge(folder: string): Promise<string[]> {
  const { exports: doors = {} } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { exports?: Record<string, unknown> };
  const missing = missingFiles(folder, doors);
  if (missing.length > 0) return [`not built: ${missing.join(', ')}`];
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', into], { cwd: folder });
  const [{ filename } = { filename: '' }] = JSON.parse(stdout) as { filename: string }[];
  const tarball = join(into, filename.replace('@', '').replace('/', '-'));
  const said = [
    // Versions of siblings are filled in when they are published; everything else is judged as it is.
    await complaint('publint', ['run', tarball, '--strict']),
    await complaint('attw', [tarball, '--profile', 'esm-only']),
  ];
  return said.filter((line) => line !== undefined);
}

try {
  for (const file of globSync('packages/*/package.json', { cwd: root })) {
    const found = await judge(join(root, dirname(file)));
    console.log(`${found.length === 0 ? 'ok    ' : 'FAILED'} ${dirname(file)}`);
    for (const line of found) console.log(line);
    if (found.length > 0) process.exitCode = 1;
  }
} finally {
  rmSync(into, { recursive: true });
}
