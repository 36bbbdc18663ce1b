/**
 * Compiles a scenario (`datapath/explore/NAME.ts`) and all that it uses, for the explorer: with assertions,
 * every access to memory a step (`instrument.ts`), and every function able to stop in the middle and go on
 * later (Binaryen's asyncify), so that one JavaScript thread can run several of the datapath's.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import binaryen from 'assemblyscript/binaryen';
import { instrument, SWITCHING } from './instrument.ts';

/** A bug planted on purpose: in `file`, `find`, which must be there once, becomes `replace`. */
export interface Edit {
  file: string;
  find: string;
  replace: string;
}

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const SCENARIOS = 'datapath/explore';
/** Compiled beside each scenario: makes an instance one thread's. */
const ATTACH = 'datapath/memory/thread.ts';

/** The part of the compiler's interface that is used: its own types redefine globals such as `console`. */
interface Compiler {
  main(
    args: string[],
    io: {
      readFile(file: string): string | null;
      writeFile(file: string, contents: string | Uint8Array): void;
      listFiles(): string[];
    },
  ): Promise<{ error: Error | null; stderr: { toString(): string } }>;
}
const COMPILER: string = 'assemblyscript/asc';

const { Features } = binaryen;
const FEATURES =
  Features.Atomics |
  Features.BulkMemory |
  Features.BulkMemoryOpt |
  Features.MutableGlobals |
  Features.NontrappingFPToInt |
  Features.SignExt |
  Features.SIMD128;

const OPTIONS = [
  ['-O3', '--runtime', 'stub', '--enable', 'threads,simd,bulk-memory', '--textFile', 'explored.wat'],
  ['--importMemory', '--sharedMemory', '--initialMemory', '1', '--maximumMemory', '65536'],
].flat();

/** The names of all scenarios. */
export function scenarioNames(): string[] {
  return readdirSync(`${ROOT}${SCENARIOS}`)
    .filter((file) => file.endsWith('.ts'))
    .map((file) => file.slice(0, -3))
    .sort();
}

/** @throws Error with the compiler's words when the sources do not compile, or an edit does not fit. */
export async function compileScenario(name: string, edit?: Edit): Promise<WebAssembly.Module> {
  const asc: Compiler = await import(COMPILER);
  let text = '';
  const { error, stderr } = await asc.main([`${SCENARIOS}/${name}.ts`, ATTACH, ...OPTIONS], {
    readFile: (file) => readSource(file, edit),
    writeFile: (_file, contents) => {
      text = String(contents);
    },
    listFiles: () => [],
  });
  if (error) throw new Error(`${name}: ${error.message}\n${stderr.toString()}`);
  const module = binaryen.parseText(instrument(text));
  module.setFeatures(FEATURES);
  binaryen.setOptimizeLevel(2);
  binaryen.setPassArgument('asyncify-imports', SWITCHING);
  module.runPasses(['asyncify']);
  module.optimize();
  const binary = module.emitBinary();
  module.dispose();
  return new WebAssembly.Module(binary);
}

function readSource(file: string, edit?: Edit): string | null {
  const path = `${ROOT}${file}`;
  if (!existsSync(path)) return null;
  const source = readFileSync(path, 'utf8');
  if (file !== edit?.file) return source;
  if (source.split(edit.find).length !== 2) throw new Error(`${file}: expected "${edit.find}" once`);
  return source.replace(edit.find, edit.replace);
}
