/**
 * Runs a scenario's threads in one JavaScript thread, in the order that a schedule says.
 *
 *     thread 0   ──step──step──▶ turn ─ ─ unwound ─ ─ ─ ─ ─ ─ ─ ─ rewound ─▶ step ──▶
 *                                  │                                  ▲
 *     schedule                     └─▶ 1 goes next        0 goes next ┘
 *                                       │                 │
 *     thread 1                          └──step──step──▶ turn ─ ─ unwound ─ ─ ─
 *
 * Before every step a thread calls `turn`, and when another is to go next it is suspended (`actor.ts`). A
 * thread that goes on is not, so most steps cost one call.
 */
import { type Arena, createArena, regionAddress } from '../../src/datapath.ts';
import { Actor, STACKS } from './actor.ts';
import { compileScenario, type Edit } from './compile.ts';
import { COPY } from './instrument.ts';

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

const MOST_THREADS = 4;
const SCRATCH_BYTES = 16 * 1024;

/** So many steps of waiting threads, taken in turn, when all wait, make a deadlock. */
const MOST_STUCK = 200;
/** So many steps make a run that does not end. */
const MOST_STEPS = 20_000;

/** Instead of a thread's number: `setUp` or `check` runs, and nothing is a step. */
const ALONE = -1;

const bit = (thread: number): number => 1 << thread;

/** Of `threads`, the one whose turn it is after `current`, as a bit. */
function after(threads: number, current: number): number {
  const later = threads & ~(bit(current + 1) - 1);
  const from = later === 0 ? threads : later;
  return from & -from;
}

export class Stage {
  readonly name: string;
  readonly #arena: Arena;
  readonly #u8: Uint8Array;
  readonly #actors: readonly Actor[];
  /** For each word of the arena, whether a plain access is a step. */
  readonly #shared: Uint8Array;
  /** The memory that the scenario declares, and what it holds when a run begins. */
  readonly #declared: { at: number; bytes: Uint8Array }[] = [];
  /** All memory as it is when a run begins. */
  readonly #whole: Uint8Array;

  #schedule!: Schedule;
  #running = ALONE;
  #next = ALONE;
  /** Threads that have ended, bit by number. */
  #ended = 0;
  #writes = 0;
  #steps = 0;
  #stuck = 0;
  #stuckSince = 0;
  #decisions: number[] = [];

  /** Compiles a scenario, with a bug planted in it if `edit` says so, and sets it up. */
  static async open(name: string, edit?: Edit): Promise<Stage> {
    return new Stage(name, await compileScenario(name, edit));
  }

  private constructor(name: string, module: WebAssembly.Module) {
    this.name = name;
    const least = 256 * MOST_THREADS;
    const limits = {
      threads: MOST_THREADS,
      ports: 2,
      queues: 1,
      flows: least,
      rules: 4,
      frames: least,
      largeFrames: 0,
      macs: 4,
      connections: 16,
    };
    this.#arena = createArena(module, limits, 1);
    const { buffer } = this.#arena.memory;
    this.#u8 = new Uint8Array(buffer);
    this.#shared = new Uint8Array(buffer.byteLength >> 2);
    this.#declare(regionAddress(this.#arena, 'queues'), SCRATCH_BYTES, false);
    const actors = Array.from({ length: MOST_THREADS }, (_, thread) => this.#actor(thread));
    this.#actors = actors.filter(({ hasPart }) => hasPart);
    if (this.#actors.length < 2) throw new Error(`${name}: expected thread0, thread1 and at most two more`);
    this.#actors[0]!.exports.setUp();
    for (const piece of this.#declared) piece.bytes = this.#u8.slice(piece.at, piece.at + piece.bytes.length);
    this.#whole = this.#u8.slice();
  }

  #actor(thread: number): Actor {
    return new Actor(this.#arena, thread, {
      turn: (kind, address) => this.#turn(thread, kind, address),
      wrote: () => this.#writes++,
      park: (address) => this.#park(thread, address),
      wake: (address, count) => this.#wake(address, count),
      shares: (at, bytes) => this.#declare(at, bytes, true),
      changes: (at, bytes) => this.#declare(at, bytes, false),
    });
  }

  #declare(at: number, bytes: number, shared: boolean): void {
    this.#declared.push({ at, bytes: new Uint8Array(bytes) });
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
    const isStack = (at: number): boolean => at >= STACKS.from && at < STACKS.to;
    const at = this.#u8.findIndex((byte, i) => byte !== this.#whole[i] && !isStack(i));
    if (at < 0) return;
    const region = this.#arena.regions.findLast(({ address }) => address <= at)?.name ?? 'ArenaMap';
    throw new Error(
      `${this.name}: a thread changed ${region} at 0x${at.toString(16)}, not declared in setUp`,
    );
  }

  #restore(): void {
    for (const { at, bytes } of this.#declared) this.#u8.set(bytes, at);
    for (const actor of this.#actors) actor.reset();
    this.#ended = 0;
    this.#writes = 0;
    this.#steps = 0;
    this.#stuck = 0;
    this.#stuckSince = 0;
    this.#decisions = [];
  }

  #interleave(): void {
    const all = bit(this.#actors.length) - 1;
    this.#next = this.#choose(ALONE);
    while (this.#ended !== all) {
      this.#running = this.#next;
      if (!this.#actors[this.#running]!.goOn()) continue;
      this.#ended |= bit(this.#running);
      if (this.#ended !== all) this.#next = this.#choose(this.#running);
    }
    this.#running = ALONE;
  }

  /** A thread is about to do a step, or to go on with the one that it was suspended before. */
  #turn(thread: number, kind: number, address: number): void {
    if (this.#running === ALONE) return;
    if (kind < COPY && !this.#shared[address >>> 2]) return;
    const actor = this.#actors[thread]!;
    if (actor.isSuspended) {
      actor.resume();
    } else {
      if (++this.#steps > MOST_STEPS) throw new Error(`found no end after ${MOST_STEPS} steps`);
      actor.about(kind, address, this.#writes);
      this.#next = this.#choose(thread);
      if (this.#next !== thread) return actor.suspend();
    }
    if (actor.writes) this.#writes++;
  }

  /** A thread sleeps until somebody notifies this word. */
  #park(thread: number, address: number): void {
    if (this.#running === ALONE) throw new Error('found a wait in setUp or check');
    const actor = this.#actors[thread]!;
    if (actor.isSuspended) return actor.resume();
    actor.parkedAt = address;
    this.#next = this.#choose(thread);
    actor.suspend();
  }

  #wake(address: number, count: number): number {
    const woken = this.#actors.filter(({ parkedAt }) => parkedAt === address).slice(0, count >>> 0);
    for (const actor of woken) actor.parkedAt = 0;
    return woken.length;
  }

  /** Who goes next: asks the schedule if there is more than one who can. */
  #choose(current: number): number {
    let able = 0;
    let spinning = 0;
    for (let thread = 0; thread < this.#actors.length; thread++) {
      const actor = this.#actors[thread]!;
      if (this.#ended & bit(thread) || actor.parkedAt !== 0) continue;
      if (actor.spins(this.#writes)) spinning |= bit(thread);
      else able |= bit(thread);
    }
    if (able === 0) {
      this.#checkStuck(spinning);
      able = after(spinning, current);
    }
    if ((able & (able - 1)) === 0) return 31 - Math.clz32(able);
    const chosen = this.#schedule.choose(able, current);
    this.#decisions.push(chosen);
    return chosen;
  }

  /** Nobody can go on but those that spin: they may, for a while, until it is clear that none will write. */
  #checkStuck(spinning: number): void {
    if (this.#stuckSince !== this.#writes) this.#stuck = 0;
    this.#stuckSince = this.#writes;
    if (spinning !== 0 && ++this.#stuck <= MOST_STUCK) return;
    const waiting = [...this.#actors.entries()].filter(([thread]) => !(this.#ended & bit(thread)));
    throw new Error(
      `deadlock: ${waiting.map(([thread, { waitsFor }]) => `thread ${thread} ${waitsFor}`).join(', ')}`,
    );
  }
}
