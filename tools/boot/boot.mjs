// Makes a bare machine ready and then runs one tool: plain JavaScript, no dependencies, any Node >= 18.
import { createHash } from 'node:crypto';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const pnpm = 'pnpm@12.21.0';
const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const modules = join(root, 'node_modules');
const stampFile = join(modules, '.boot-stamp');

const env = { ...process.env, PATH: `${join(modules, '.bin')}${delimiter}${process.env.PATH ?? ''}` };

/** Runs a command to its end, passing SIGINT and SIGTERM on; resolves with its exit code. */
function run(command, args, options = {}) {
  const child = spawn(command, args, { cwd: process.cwd(), env, stdio: 'inherit', ...options });
  const forward = (signal) => child.kill(signal);
  process.on('SIGINT', forward).on('SIGTERM', forward);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      process.off('SIGINT', forward).off('SIGTERM', forward);
      resolve(code ?? 128 + (signal === 'SIGINT' ? 2 : 15));
    });
  });
}

async function install() {
  const stamp = createHash('sha256');
  for (const file of ['pnpm-lock.yaml', 'pnpm-workspace.yaml']) stamp.update(readFileSync(join(root, file)));
  const wanted = stamp.digest('hex');
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === wanted) return;
  process.stderr.write('First run: installing the pinned tools into node_modules (about half a minute)...\n');
  const started = Date.now();
  const beat = setInterval(() => process.stderr.write(`... still installing (${Math.round((Date.now() - started) / 1000)} s)\n`), 5000);
  const code = await run('npx', ['--yes', pnpm, 'install', '--frozen-lockfile'], { cwd: root, stdio: ['ignore', 2, 2], env: process.env });
  clearInterval(beat);
  if (code !== 0) process.exit(code);
  writeFileSync(stampFile, wanted);
}

const at = (...path) => join(root, ...path);
const tools = {
  test: (args) => [join(modules, 'vitest', 'vitest.mjs'), 'run', ...args],
  check: (args) => [at('tools', 'boot', 'check.mjs'), ...args],
  cli: (args) => [at('tools', 'cli', 'src', 'main.ts'), ...args],
  run: ([file, ...args]) => [at(file), ...args],
  // Without the daemon: nothing of it outlives the command.
  nx: (args) => {
    env.NX_DAEMON = 'false';
    return { command: join(modules, '.bin', 'nx'), args };
  },
  bin: ([name, ...args]) => ({ command: join(modules, '.bin', name), args }),
};

const [name, ...args] = process.argv.slice(2);
if (!Object.hasOwn(tools, name ?? '')) {
  process.stderr.write(`usage: boot.mjs ${Object.keys(tools).join('|')} [arguments]\n`);
  process.exit(2);
}
await install();
const pinned = join(modules, '.bin', 'node');
const node = existsSync(pinned) ? pinned : process.execPath;
if (node === process.execPath && Number(process.versions.node.split('.')[0]) < 24) {
  process.stderr.write(`Node 24 or newer is needed on ${process.platform}-${process.arch}; this is ${process.versions.node}.\n`);
  process.exit(2);
}
env.NODE_OPTIONS = `${process.env.NODE_OPTIONS ?? ''} --conditions=@dynamo/source`.trim();
const tool = tools[name](args);
process.exit(await (Array.isArray(tool) ? run(node, tool) : run(tool.command, tool.args)));
