/**
 * Makes the checkout ready to run and does nothing that is current already:
 *   1. npm ci                       when node_modules does not match package-lock.json
 *   2. src/generated/layout.ts and build/heddle*.wasm    when datapath/ changed
 *   3. dist/                        when src/, test/ or bench/ changed
 * Plain JavaScript and no dependencies: it runs before anything is installed.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeLayout } from './layout.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);

const files = (path) =>
  !existsSync(path)
    ? []
    : statSync(path).isDirectory()
      ? readdirSync(path)
          .sort()
          .flatMap((name) => files(join(path, name)))
      : [path];

/** A digest of the contents of files and folders. */
function digest(...paths) {
  const hash = createHash('sha256');
  for (const file of paths.flatMap(files)) hash.update(`${file}\0`).update(readFileSync(file)).update('\0');
  return hash.digest('hex');
}

/** Runs `make` unless `stamp` says that it has run for these inputs and `product` is there. */
function step(name, stamp, product, inputs, make) {
  const want = digest(...inputs);
  if (existsSync(product) && existsSync(stamp) && readFileSync(stamp, 'utf8') === want) return;
  console.error(`heddle: ${name}`);
  make();
  mkdirSync('build', { recursive: true });
  writeFileSync(stamp, want);
}

/** Runs a tool with its output on stderr; when it fails, it has said why. */
function run(command, ...args) {
  try {
    execFileSync(command, args, { stdio: ['ignore', 2, 2] });
  } catch (error) {
    console.error(`heddle: ${command} ${args[0]} failed (${error.status ?? error.message})`);
    process.exit(1);
  }
}
const node = (tool, ...args) => run(process.execPath, join('node_modules', tool), ...args);

step(
  'installing packages',
  'node_modules/.heddle',
  'node_modules',
  ['package.json', 'package-lock.json'],
  () => run('npm', 'ci', '--no-audit', '--no-fund', '--loglevel=error'),
);

const ASC = [
  ['-O3', '--noAssert', '--runtime', 'stub', '--enable', 'threads,simd,bulk-memory'],
  ['--importMemory', '--sharedMemory', '--initialMemory', '1', '--maximumMemory', '65536'],
].flat();

step('compiling the datapath', 'build/datapath.stamp', 'build/heddle.wasm', ['datapath', 'scripts'], () => {
  mkdirSync('build', { recursive: true });
  writeLayout('datapath', 'src/generated/layout.ts');
  for (const [source, name] of [
    ['datapath/run.ts', 'build/heddle'],
    ['datapath/test.ts', 'build/heddle-test'],
    ['datapath/bench.ts', 'build/heddle-bench'],
  ]) {
    const products = ['--outFile', `${name}.wasm`, '--textFile', `${name}.wat`];
    node('assemblyscript/bin/asc.js', source, ...products, ...ASC);
  }
});

step(
  'compiling the switch',
  'build/switch.stamp',
  'dist/src',
  ['src', 'test', 'bench', 'tsconfig.json', 'package-lock.json'],
  () => {
    rmSync('dist', { recursive: true, force: true });
    node('typescript/bin/tsc', '-p', 'tsconfig.json');
  },
);
