/**
 * A thread of a scenario: an instance of its module, whose calls can be unwound in the middle of a step onto a
 * stack of its own in the memory, and rewound later.
 */
import type { Arena } from '../../src/datapath.ts';
import { ATOMIC, EXCHANGE, READ, WAIT } from './instrument.ts';

export interface ScenarioExports {
  setUp(): void;
  check?(): void;
  attach(thread: number): void;
  asyncify_start_unwind(stack: number): void;
  asyncify_stop_unwind(): void;
  asyncify_start_rewind(stack: number): void;
  asyncify_stop_rewind(): void;
  asyncify_get_state(): number;
  [thread: `thread${number}`]: () => void;
}

/** What the module asks of the explorer; `instrument.ts` and `datapath/explore.ts` declare it. */
export interface ExploreImports {
  turn(kind: number, address: number): void;
  wrote(): void;
  park(address: number): void;
  wake(address: number, count: number): number;
  shares(at: number, bytes: number): void;
  changes(at: number, bytes: number): void;
}

/** Where stacks are: below the arena's map and above the module's constants. */
export const STACKS = { from: 0x8000, to: 0x10000 };
const STACK_BYTES = 0x2000;

/** So many reads of a word that nobody has written since count as waiting for it: more than one attempt makes of it. */
const SPIN_READS = 4;

const UNWINDING = 1;

export class Actor {
  readonly exports: ScenarioExports;
  /** Address of the word on which it sleeps; 0: it does not. */
  parkedAt = 0;
  /** Its calls are unwound, and begin with the step that they were unwound before. */
  isSuspended = false;
  /** What the step does that it has asked for. */
  #kind = READ;
  /** Words it has read since anybody last wrote, and how often. */
  readonly #reads = new Map<number, number>();
  /** Writes of all threads up to its last read. */
  #sawWrites = 0;
  #rereads = false;
  readonly #body: (() => void) | undefined;
  readonly #stack: number;
  readonly #u32: Uint32Array;

  constructor(arena: Arena, thread: number, explore: ExploreImports) {
    const { memory, module } = arena;
    this.#u32 = new Uint32Array(memory.buffer);
    const abort = (message: number, file: number, line: number): void => {
      throw new Error(`${this.#text(message)} (${this.#text(file)}:${line})`);
    };
    const instance = new WebAssembly.Instance(module, { env: { memory, abort }, explore: { ...explore } });
    this.exports = instance.exports as unknown as ScenarioExports;
    this.exports.attach(thread);
    this.#body = this.exports[`thread${thread}`];
    this.#stack = STACKS.from + thread * STACK_BYTES;
  }

  /** Whether the scenario has anything for this thread to do. */
  get hasPart(): boolean {
    return this.#body !== undefined;
  }

  reset(): void {
    this.parkedAt = 0;
    this.isSuspended = false;
    this.#reads.clear();
    this.#sawWrites = 0;
    this.#rereads = false;
  }

  /** Begins, or goes on from where it was suspended; true when it has come to its end. */
  goOn(): boolean {
    if (this.isSuspended) this.exports.asyncify_start_rewind(this.#stack);
    this.#body!();
    if (this.exports.asyncify_get_state() !== UNWINDING) return true;
    this.exports.asyncify_stop_unwind();
    return false;
  }

  /** Unwinds its calls; from within a call of its own out of the module. */
  suspend(): void {
    this.isSuspended = true;
    this.#u32[this.#stack >> 2] = this.#stack + 8;
    this.#u32[(this.#stack >> 2) + 1] = this.#stack + STACK_BYTES;
    this.exports.asyncify_start_unwind(this.#stack);
  }

  /** Its calls have been rewound as far as the one that suspended it. */
  resume(): void {
    this.isSuspended = false;
    this.exports.asyncify_stop_rewind();
  }

  /** Notes the step that it is about to do; `writes`: those of all threads so far. */
  about(kind: number, address: number, writes: number): void {
    this.#kind = kind & ~ATOMIC;
    if (this.#sawWrites !== writes) this.#reads.clear();
    this.#sawWrites = writes;
    this.#rereads = false;
    if (kind !== ATOMIC + READ && kind !== ATOMIC + EXCHANGE) return;
    const times = (this.#reads.get(address) ?? 0) + 1;
    this.#reads.set(address, times);
    this.#rereads = times >= SPIN_READS;
  }

  /** Whether the step that it has asked for surely writes. */
  get writes(): boolean {
    return this.#kind !== READ && this.#kind !== EXCHANGE && this.#kind !== WAIT;
  }

  /** Whether it reads one word over and over, and nobody has written since. */
  spins(writes: number): boolean {
    return this.#rereads && this.#sawWrites === writes;
  }

  /** For what it waits, in words. */
  get waitsFor(): string {
    if (this.parkedAt !== 0) return `sleeps on 0x${this.parkedAt.toString(16)}`;
    return `waits for 0x${([...this.#reads.keys()].at(-1) ?? 0).toString(16)}`;
  }

  /** A string of the module: UTF-16, its length in bytes before it. */
  #text(at: number): string {
    if (at === 0) return 'an assertion does not hold';
    const length = this.#u32[(at - 4) >> 2]!;
    const bytes = new Uint8Array(this.#u32.buffer, at, length);
    return Buffer.from(bytes.slice()).toString('utf16le');
  }
}
