#!/usr/bin/env node
// Runs the command line. In a checkout, whatever is missing or stale is built first.
import { existsSync } from 'node:fs';

const build = new URL('../scripts/build.mjs', import.meta.url);
const sources = new URL('../src', import.meta.url);
if (existsSync(build) && existsSync(sources)) {
  const folder = process.cwd();
  await import(build);
  process.chdir(folder); // the build works at the top of the checkout
}

const { main } = await import('../dist/src/cli/heddle.js');
await main(process.argv.slice(2));
