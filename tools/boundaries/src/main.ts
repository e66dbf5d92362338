import { join } from 'node:path';
import { violations } from './boundaries.ts';

const found = violations(join(import.meta.dirname, '..', '..', '..'));
for (const line of found) console.log(line);
process.exitCode = found.length === 0 ? 0 : 1;
