/**
 * Runs the compiled tests: those in test/root one at a time after all others, because they need the machine
 * to themselves. Arguments keep only the files whose path contains one of them.
 *
 *     node scripts/test.mjs                  all
 *     node scripts/test.mjs control flow     only paths with "control" or "flow"
 */
import { readdirSync } from 'node:fs';
import { join, sep } from 'node:path';
import { Readable } from 'node:stream';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';

const TIMEOUT_MS = 300_000;

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

const wanted = process.argv.slice(2);
const folder = join('dist', 'test');
const files = readdirSync(folder, { recursive: true })
  .filter((name) => name.endsWith('.test.js'))
  .map((name) => join(folder, name))
  .filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)))
  .sort();
if (files.length === 0) {
  console.error(`heddle: found no test among ${folder}${sep}**${sep}*.test.js with ${wanted.join(' or ')}`);
  process.exit(1);
}

const alone = files.filter((name) => name.startsWith(join(folder, 'root') + sep));
const together = files.filter((name) => !alone.includes(name));

/** The events of both runs; the closing counts are held back and summed, so that they are printed once. */
async function* events() {
  const totals = new Map();
  for (const { files, concurrency } of [
    { files: together, concurrency: true },
    { files: alone, concurrency: 1 },
  ]) {
    if (files.length === 0) continue;
    for await (const event of run({ files, concurrency, timeout: TIMEOUT_MS })) {
      const total =
        event.type === 'test:diagnostic' && event.data.nesting === 0 && closing(event.data.message);
      if (!total) yield event;
      else totals.set(total.name, (totals.get(total.name) ?? 0) + total.value);
      if (event.type === 'test:fail') process.exitCode = 1;
    }
  }
  for (const [name, value] of totals) {
    yield { type: 'test:diagnostic', data: { nesting: 0, message: `${name} ${value}` } };
  }
}

function closing(message) {
  const found = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) ([\d.]+)$/.exec(message);
  return found && { name: found[1], value: Number(found[2]) };
}

Readable.from(events()).compose(new spec()).pipe(process.stdout);
