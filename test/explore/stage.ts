/**
 * Runs a scenario's threads in one JavaScript thread, in the order that a schedule says.
 *
 *     thread 0   ──step──step──▶ turn ─ ─ unwound ─ ─ ─ ─ ─ ─ ─ ─ rewound ─▶ step ──▶
 *                                  │                                  ▲
 *     schedule                     └─▶ 1 goes next        0 goes next ┘
 *                                       │                 │
 *     thread 1                          └──step──step──▶ turn ─ ─ unwound ─ ─ ─
 *
 * Each thread is an instance of the module over one memory. Before every step it calls `turn`; when another
 * thread is to go next the instance's calls are unwound onto a stack of its own in the memory, and rewound
 * when its turn comes again. A thread that goes on is not unwound, so most steps cost one call.
 */
import { type Arena, createArena, regionAddress } from '../../src/datapath.ts';
import { compileScenario, type Edit } from './compile.ts';
import { ATOMIC, COPY, EXCHANGE, READ, WAIT } from './instrument.ts';

/** Decides who goes next, whenever more than one thread can. */
export interface Schedule {
  /** One of the threads in `choices` (bit by number); `current` has just run, or is -1 at the start. */
  choose(choices: number, current: number): number;
}

export interface Outcome {
  steps: number;
  /** Who was chosen at each decision. */
  decisions: readonly number[];
  /** What was wrong; undefined when nothing was. */
  failure?: string;
}

interface ScenarioExports {
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

interface Actor {
  exports: ScenarioExports;
  body: () => void;
  /** Address of the memory that its calls are unwound to. */
  stack: number;
  /** It has been unwound and not rewound since. */
  suspended: boolean;
  /** The step that it stopped before. */
  kind: number;
  /** Words it has read since anybody last wrote, as address and times. */
  reads: Map<number, number>;
  /** `writes` at its last read. */
  sawWrites: number;
  /** It reads a word over and over, and nobody has written since. */
  spins: boolean;
  /** The word on which it sleeps; 0: it does not. */
  parkedAt: number;
}

const MOST_THREADS = 4;
const SCRATCH_BYTES = 256 * 1024;

/** Below the arena's map and above the module's constants. */
const STACKS = 0x8000;
const STACK_BYTES = 0x2000;

/** So many reads of a word that nobody has written since count as waiting for it. */
const SPIN_READS = 3;
/** So many steps of waiting threads, taken in turn, when all wait, make a deadlock. */
const MOST_STUCK = 200;
/** So many steps make a run that does not end. */
const MOST_STEPS = 20_000;

const UNWINDING = 1;
const ALONE = -1;

const bit = (thread: number): number => 1 << thread;

/** Of `threads`, the one whose turn it is after `current`; they take turns. As a bit. */
function after(threads: number, current: number): number {
  const later = threads & ~(bit(current + 1) - 1);
  const of = later === 0 ? threads : later;
  return of & -of;
}

export class Stage {
  readonly name: string;
  readonly #arena: Arena;
  readonly #u8: Uint8Array;
  readonly #u32: Uint32Array;
  readonly #actors: readonly Actor[];
  /** For each word of the arena, whether a plain access is a step. */
  readonly #shared: Uint8Array;
  /** What each declared piece of memory holds when a run begins. */
  readonly #pieces: { at: number; bytes: Uint8Array }[] = [];
  readonly #whole: Uint8Array;

  #schedule!: Schedule;
  #running = ALONE;
  #next = ALONE;
  #done = 0;
  #writes = 0;
  #steps = 0;
  #stuck = 0;
  #decisions: number[] = [];

  /** Compiles a scenario, with a bug planted in it if `edit` says so, and sets it up. */
  static async open(name: string, edit?: Edit): Promise<Stage> {
    return new Stage(name, await compileScenario(name, edit));
  }

  private constructor(name: string, module: WebAssembly.Module) {
    this.name = name;
    const least = 256 * MOST_THREADS;
    const limits = { threads: MOST_THREADS, ports: 1, flows: least, frames: least, largeFrames: 0 };
    this.#arena = createArena(module, limits, 1);
    const { buffer } = this.#arena.memory;
    this.#u8 = new Uint8Array(buffer);
    this.#u32 = new Uint32Array(buffer);
    this.#shared = new Uint8Array(buffer.byteLength >> 2);
    this.#changes(regionAddress(this.#arena, 'queues'), SCRATCH_BYTES, false);
    this.#actors = this.#makeActors();
    this.#actors[0]!.exports.setUp();
    for (const piece of this.#pieces) piece.bytes = this.#u8.slice(piece.at, piece.at + piece.bytes.length);
    this.#whole = this.#u8.slice();
  }

  #makeActors(): Actor[] {
    const actors: Actor[] = [];
    for (let thread = 0; thread < MOST_THREADS; thread++) {
      const instance = new WebAssembly.Instance(this.#arena.module, {
        env: {
          memory: this.#arena.memory,
          abort: (message: number, file: number, line: number) => {
            throw new Error(`${this.#text(message)} (${this.#text(file)}:${line})`);
          },
        },
        explore: {
          turn: (kind: number, address: number) => this.#turn(thread, kind, address),
          wrote: () => this.#writes++,
          park: (address: number) => this.#park(thread, address),
          wake: (address: number, count: number) => this.#wake(address, count),
          shares: (at: number, bytes: number) => this.#changes(at, bytes, true),
          changes: (at: number, bytes: number) => this.#changes(at, bytes, false),
        },
      });
      const exports = instance.exports as unknown as ScenarioExports;
      const body = exports[`thread${thread}`];
      if (!body) break;
      exports.attach(thread);
      actors.push({
        exports,
        body,
        stack: STACKS + thread * STACK_BYTES,
        suspended: false,
        kind: READ,
        reads: new Map(),
        sawWrites: 0,
        spins: false,
        parkedAt: 0,
      });
    }
    if (actors.length < 2) throw new Error(`${this.name}: found ${actors.length} threads, expected 2 to 4`);
    return actors;
  }

  #changes(at: number, bytes: number, shared: boolean): void {
    this.#pieces.push({ at, bytes: new Uint8Array(bytes) });
    if (shared) this.#shared.fill(1, at >> 2, (at + bytes + 3) >> 2);
  }

  /** Runs all threads to their ends, or to the first thing that is wrong. */
  run(schedule: Schedule): Outcome {
    this.#restore();
    this.#schedule = schedule;
    let failure: string | undefined;
    try {
      this.#interleave();
      this.#actors[0]!.exports.check?.();
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error);
    }
    this.#running = ALONE;
    return { steps: this.#steps, decisions: this.#decisions, failure };
  }

  /** @throws Error when a run has changed memory that the scenario does not declare. */
  checkDeclared(): void {
    this.#restore();
    const at = this.#u8.findIndex(
      (byte, i) => byte !== this.#whole[i] && !(i >= STACKS && i < STACKS + MOST_THREADS * STACK_BYTES),
    );
    if (at < 0) return;
    const region = this.#arena.regions.findLast(({ address }) => address <= at)?.name ?? 'ArenaMap';
    throw new Error(
      `${this.name}: a thread changed ${region} at 0x${at.toString(16)}, not declared in setUp`,
    );
  }

  #restore(): void {
    for (const { at, bytes } of this.#pieces) this.#u8.set(bytes, at);
    for (const actor of this.#actors) {
      actor.suspended = false;
      actor.spins = false;
      actor.parkedAt = 0;
      actor.reads.clear();
    }
    this.#done = 0;
    this.#writes = 0;
    this.#steps = 0;
    this.#stuck = 0;
    this.#decisions = [];
  }

  #interleave(): void {
    const all = bit(this.#actors.length) - 1;
    this.#next = this.#choose(ALONE);
    while (this.#done !== all) {
      this.#running = this.#next;
      const actor = this.#actors[this.#running]!;
      if (actor.suspended) actor.exports.asyncify_start_rewind(actor.stack);
      actor.body();
      if (actor.exports.asyncify_get_state() === UNWINDING) {
        actor.exports.asyncify_stop_unwind();
      } else {
        this.#done |= bit(this.#running);
        if (this.#done !== all) this.#next = this.#choose(this.#running);
      }
    }
    this.#running = ALONE;
  }

  /** Thread `thread` is about to access `address`. */
  #turn(thread: number, kind: number, address: number): void {
    if (this.#running === ALONE) return;
    if (kind < COPY && !this.#shared[address >>> 2]) return;
    const actor = this.#actors[thread]!;
    if (actor.suspended) {
      actor.suspended = false;
      actor.exports.asyncify_stop_rewind();
    } else {
      if (++this.#steps > MOST_STEPS) throw new Error(`found no end after ${MOST_STEPS} steps`);
      this.#noteRead(actor, kind, address);
      actor.kind = kind & ~ATOMIC;
      this.#next = this.#choose(thread);
      if (this.#next !== thread) return this.#suspend(actor);
    }
    if (actor.kind !== READ && actor.kind !== EXCHANGE && actor.kind !== WAIT) this.#writes++;
  }

  #suspend(actor: Actor): void {
    actor.suspended = true;
    this.#u32[actor.stack >> 2] = actor.stack + 8;
    this.#u32[(actor.stack >> 2) + 1] = actor.stack + STACK_BYTES;
    actor.exports.asyncify_start_unwind(actor.stack);
  }

  #noteRead(actor: Actor, kind: number, address: number): void {
    if (actor.sawWrites !== this.#writes) {
      actor.reads.clear();
      actor.sawWrites = this.#writes;
      this.#stuck = 0;
    }
    actor.spins = false;
    if (kind !== ATOMIC + READ && kind !== ATOMIC + EXCHANGE) return;
    const times = (actor.reads.get(address) ?? 0) + 1;
    actor.reads.set(address, times);
    actor.spins = times >= SPIN_READS;
  }

  /** The thread sleeps until somebody notifies this word. */
  #park(thread: number, address: number): void {
    if (this.#running === ALONE) throw new Error('found a wait in setUp or check');
    const actor = this.#actors[thread]!;
    if (actor.suspended) {
      actor.suspended = false;
      actor.exports.asyncify_stop_rewind();
      return;
    }
    actor.parkedAt = address;
    this.#next = this.#choose(thread);
    this.#suspend(actor);
  }

  #wake(address: number, count: number): number {
    let woken = 0;
    for (const actor of this.#actors) {
      if (actor.parkedAt === address && woken < count >>> 0) {
        actor.parkedAt = 0;
        woken++;
      }
    }
    return woken;
  }

  /** Who goes next: asks the schedule if there is more than one who can. */
  #choose(current: number): number {
    let able = 0;
    let spinning = 0;
    for (const [thread, actor] of this.#actors.entries()) {
      if (this.#done & bit(thread) || actor.parkedAt !== 0) continue;
      if (actor.spins && actor.sawWrites === this.#writes) spinning |= bit(thread);
      else able |= bit(thread);
    }
    if (able === 0) {
      if (spinning === 0 || ++this.#stuck > MOST_STUCK) throw new Error(`deadlock: ${this.#whoWaits()}`);
      able = after(spinning, current);
    }
    if ((able & (able - 1)) === 0) return 31 - Math.clz32(able);
    const chosen = this.#schedule.choose(able, current);
    this.#decisions.push(chosen);
    return chosen;
  }

  #whoWaits(): string {
    return this.#actors
      .flatMap(({ parkedAt, reads }, thread) => {
        if (this.#done & bit(thread)) return [];
        const [word] = parkedAt ? [parkedAt] : [...reads.keys()].slice(-1);
        const how = parkedAt ? 'sleeps on' : 'waits for';
        return [`thread ${thread} ${how} 0x${(word ?? 0).toString(16)}`];
      })
      .join(', ');
  }

  /** A string of the module: UTF-16, its length in bytes before it. */
  #text(at: number): string {
    if (at === 0) return 'an assertion does not hold';
    const length = this.#u32[(at - 4) >> 2]!;
    return Buffer.from(this.#u8.slice(at, at + length)).toString('utf16le');
  }
}
