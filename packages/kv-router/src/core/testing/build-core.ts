import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import asc from 'assemblyscript/asc';

const sources = join(import.meta.dirname, '..', 'assembly');
const output = join(import.meta.dirname, '..', 'core.wasm.ts');

/** Compiles the sources of `core/assembly`; the same sources give the same bytes. */
export async function compileCore(): Promise<Uint8Array> {
  let binary: Uint8Array | undefined;
  const { error, stderr } = await asc.main(
    ['index.ts', '-O3', '--runtime', 'stub', '--noAssert', '--enable', 'simd', '--disableWarning', '--outFile', 'core.wasm'],
    {
      readFile: (name) => {
        try {
          return readFileSync(join(sources, name), 'utf8');
        } catch {
          // The compiler asks for files in several places.
          return null;
        }
      },
      writeFile: (_name, contents) => void (binary = contents as Uint8Array),
      listFiles: () => [],
    },
  );
  if (error || binary === undefined) throw new Error(`the core does not compile: ${stderr.toString()}`, { cause: error });
  return binary;
}

/** The text of `core.wasm.ts` for a compiled module. */
export function coreFile(binary: Uint8Array): string {
  const lines =
    Buffer.from(binary)
      .toString('base64')
      .match(/.{1,140}/g) ?? [];
  return `// Compiled from core/assembly: \`node --conditions=@dynamo/source packages/kv-router/src/core/testing/build-core.ts\` writes it.\n/** The compiled core, as base64. */\nexport const coreWasm: string =\n${lines.map((line) => `  '${line}'`).join(' +\n')};\n`;
}

if (import.meta.main) writeFileSync(output, coreFile(await compileCore()));
