import { readFileSync } from 'node:fs';

/** One golden file of the planner. */
export const vectorsOf = <T>(name: string): T =>
  JSON.parse(readFileSync(new URL(`../../../../vectors/planner/${name}.json`, import.meta.url), 'utf8')) as T;
