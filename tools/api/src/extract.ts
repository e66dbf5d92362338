import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Extractor, ExtractorConfig, ExtractorLogLevel, type ExtractorMessage, type IConfigFile } from '@microsoft/api-extractor';
import { surfaces } from './surface.ts';

/** What one package's extraction found. */
export interface Extraction {
  readonly name: string;
  /** Whether the report in `etc` differs from the declarations, or did before an update. */
  readonly changed: boolean;
  /** Everything that is wrong with the surface itself, one line each. */
  readonly errors: readonly string[];
}

/** The file name of a package's report: `@dynamo/kv-router` gives `kv-router`. */
const reportName = (packageName: string): string => packageName.slice(packageName.indexOf('/') + 1);

/**
 * Compares a package's built declarations with `etc/<name>.api.md`, or rewrites that file.
 *
 * Only the door for users is held (docs/decisions/2026-11-24-one-report-a-package.md). `@dynamo/internal` consists of
 * re-exports, so its report spells out what they name.
 */
export function extract(folder: string, options: { update: boolean }): Extraction {
  const packageFile = join(folder, 'package.json');
  const { name } = JSON.parse(readFileSync(packageFile, 'utf8')) as { name: string };
  const door = join(folder, 'dist', 'index.d.ts');
  if (!existsSync(door)) return { name, changed: false, errors: [`${door} is missing: build first`] };
  mkdirSync(join(folder, 'etc'), { recursive: true });
  const errors: string[] = [];
  const forgotten = new Set(surfaces[reportName(name)]?.forgotten);
  let changed = false;
  try {
    const prepared = ExtractorConfig.prepare({
      configObject: config(folder, name),
      configObjectFullPath: undefined,
      packageJsonFullPath: packageFile,
    });
    const messageCallback = (message: ExtractorMessage): void => collect(message, errors, forgotten);
    changed = Extractor.invoke(prepared, { localBuild: options.update, messageCallback }).apiReportChanged;
  } catch (error) {
    // It throws on declarations that point to files that are not there: a build that has stopped half-way.
    return { name, changed: false, errors: [String(error).split('\n', 1)[0] ?? ''] };
  }
  for (const type of forgotten) errors.push(`'${type}' need no longer stand in the list of forgotten exports of tools/api/src/surface.ts`);
  return { name, changed, errors };
}

function config(folder: string, name: string): IConfigFile {
  return {
    projectFolder: folder,
    mainEntryPointFilePath: '<projectFolder>/dist/index.d.ts',
    newlineKind: 'lf',
    ...(name === '@dynamo/internal' ? { bundledPackages: ['@dynamo/*'] } : {}),
    compiler: {
      overrideTsconfig: {
        extends: '../../tsconfig.base.json',
        // With the source condition it would follow siblings into .ts files, which it refuses to read.
        compilerOptions: { customConditions: [], composite: false, isolatedDeclarations: false, rootDir: '../..' },
        include: ['dist/**/*.d.ts'],
      },
    },
    apiReport: {
      enabled: true,
      reportFileName: reportName(name),
      reportFolder: '<projectFolder>/etc',
      reportTempFolder: '<projectFolder>/node_modules/.cache/api',
    },
    docModel: { enabled: false },
    dtsRollup: { enabled: false },
    tsdocMetadata: { enabled: false },
    messages: {
      compilerMessageReporting: { default: { logLevel: ExtractorLogLevel.Error } },
      extractorMessageReporting: {
        default: { logLevel: ExtractorLogLevel.Error },
        // What a package exports is public, and what it marks with @internal is for its siblings: no name carries a sign for that.
        'ae-missing-release-tag': { logLevel: ExtractorLogLevel.None },
        'ae-internal-missing-underscore': { logLevel: ExtractorLogLevel.None },
        'ae-incompatible-release-tags': { logLevel: ExtractorLogLevel.None },
        'ae-undocumented': { logLevel: ExtractorLogLevel.None },
        'ae-unresolved-link': { logLevel: ExtractorLogLevel.None },
      },
      tsdocMessageReporting: { default: { logLevel: ExtractorLogLevel.None } },
    },
  };
}

/** Keeps what is wrong and stays silent about everything else: the runner prints its own lines. */
function collect(message: ExtractorMessage, errors: string[], forgotten: Set<string>): void {
  message.handled = true;
  if (message.logLevel !== ExtractorLogLevel.Error) return;
  const type = message.messageId === 'ae-forgotten-export' ? /^The symbol "(\w+)"/.exec(message.text)?.[1] : undefined;
  if (type !== undefined && forgotten.delete(type)) return;
  const at = message.sourceFilePath === undefined ? '' : ` (${message.sourceFilePath}:${message.sourceFileLine})`;
  errors.push(`${message.messageId}: ${message.text}${at}`);
}
