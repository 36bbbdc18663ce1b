/** Looks at a switch every second while things happen to it, and notes what must not be. */
import { readFileSync } from 'node:fs';
import type { TestSwitch } from '../support/switch.ts';
import { type Books, booksOf } from './books.ts';
import { THREADS } from './stage.ts';

const LOOK_MS = 1000;
/** Counters are read one after the other while threads go on: only what is wrong so many times on end is wrong. */
const TIMES_WRONG = 3;
/** Packets that may seem to have gone before they came, for the same reason. */
const TORN = 4096;
/** Nothing was forwarded for so many looks on end: the switch stands still. */
const STILL = 10;
/** Memory is flat when the median of the last third is at most so much over that of the middle third. */
const MOST_GROWTH = 1.05;
const ALL_THREADS = Object.values(THREADS).reduce((a, b) => a + b);
/** Before so many looks, memory is still being touched for the first time. */
const LEAST_LOOKS = 120;

/** Resident memory in MiB: medians of each third of the run. */
export interface Resident {
  first: number;
  middle: number;
  last: number;
}

export class Watch {
  readonly violations: string[] = [];
  books: Books | undefined;
  readonly #heddle: TestSwitch;
  readonly #resident: number[] = [];
  /** How many looks on end something was wrong. */
  readonly #wrong = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;

  constructor(heddle: TestSwitch) {
    this.#heddle = heddle;
    this.#timer = setInterval(() => {
      this.#looking ??= this.#look()
        .catch((error) => void this.violations.push(`a look at it failed: ${(error as Error).message}`))
        .finally(() => {
          this.#looking = undefined;
        });
    }, LOOK_MS);
  }

  /** Looks no more; says whether memory was flat. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
    const { middle, last } = this.resident;
    if (this.#resident.length < LEAST_LOOKS || last <= MOST_GROWTH * middle) return;
    this.violations.push(`memory grew from ${middle} MiB in the middle third to ${last} MiB in the last`);
  }

  get resident(): Resident {
    const third = Math.ceil(this.#resident.length / 3);
    const median = (n: number) => {
      const part = this.#resident.slice(n * third, (n + 1) * third).sort((a, b) => a - b);
      return Math.round(part[part.length >> 1] ?? 0);
    };
    return { first: median(0), middle: median(1), last: median(2) };
  }

  async #look(): Promise<void> {
    const before = this.books;
    const books = await booksOf(this.#heddle);
    this.books = books;
    this.#resident.push(residentMiB(this.#heddle.pid));
    const threads = await this.#heddle.ask({ command: 'show', what: 'threads' });
    const ports = await this.#heddle.ask({ command: 'show', what: 'ports' });
    const room = books.frames.all + books.largeFrames.all;
    this.#expect('packets went that never came', books.underWay >= -TORN, books.underWay);
    this.#expect('copies went that were never made', books.copiesUnderWay >= -TORN, books.copiesUnderWay);
    this.#expect('more is under way than there is room for', books.underWay <= room, books.underWay);
    this.#expect('a thread is missing', threads.length === ALL_THREADS, threads.length);
    this.#expect(
      'a port counts backwards',
      ports.every(({ rxPackets, txPackets }) => rxPackets >= 0 && txPackets >= 0),
      ports.length,
    );
    this.#expect('nothing is forwarded', books.forwarded !== before?.forwarded, books.forwarded, STILL);
  }

  #expect(what: string, holds: boolean, found: number, times = TIMES_WRONG): void {
    const wrong = holds ? 0 : (this.#wrong.get(what) ?? 0) + 1;
    this.#wrong.set(what, wrong);
    if (wrong === times) this.violations.push(`${what}: ${found}, ${times} times on end`);
  }
}

/** proc(5). */
function residentMiB(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024;
}
