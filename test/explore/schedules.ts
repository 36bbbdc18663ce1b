/**
 * Where schedules come from: all up to a number of preemptions, drawn from a seed, or told. A preemption is
 * a switch away from a thread that could have gone on; most bugs need one or two (Musuvathi and Qadeer,
 * "Iterative context bounding", 2007).
 */
import type { Schedule } from './stage.ts';

const has = (threads: number, thread: number): boolean => thread >= 0 && ((threads >>> thread) & 1) === 1;

const lowest = (threads: number): number => 31 - Math.clz32(threads & -threads);

/** Goes on with who runs; of others, the first. */
const byDefault = (choices: number, current: number): number =>
  has(choices, current) ? current : lowest(choices);

interface Decision {
  chosen: number;
  /** Whom else to try here. */
  untried: number;
  /** Preemptions before this decision. */
  preemptions: number;
  current: number;
  isPreemptible: boolean;
}

/**
 * All schedules with at most `most` preemptions, depth first: a run follows the path of the last up to the
 * last decision with somebody untried, takes him, and goes on by default.
 */
export class Enumeration implements Schedule {
  readonly #most: number;
  readonly #path: Decision[] = [];
  #depth = 0;
  #preemptions = 0;

  constructor(most: number) {
    this.#most = most;
  }

  choose(choices: number, current: number): number {
    if (this.#depth === this.#path.length) this.#extend(choices, current);
    const { chosen, isPreemptible } = this.#path[this.#depth++]!;
    if (isPreemptible && chosen !== current) this.#preemptions++;
    return chosen;
  }

  #extend(choices: number, current: number): void {
    const chosen = byDefault(choices, current);
    const isPreemptible = has(choices, current);
    const untried = isPreemptible && this.#preemptions >= this.#most ? 0 : choices & ~(1 << chosen);
    this.#path.push({ chosen, untried, preemptions: this.#preemptions, current, isPreemptible });
  }

  /** Makes the next run another; false when all have been. */
  next(): boolean {
    this.#depth = 0;
    this.#preemptions = 0;
    while (this.#path.length > 0) {
      const last = this.#path.at(-1)!;
      if (last.untried !== 0) {
        last.chosen = lowest(last.untried);
        last.untried &= last.untried - 1;
        return true;
      }
      this.#path.pop();
    }
    return false;
  }
}

/** Schedules drawn from a seed; some switch at every other decision, some seldom. */
export class Drawn implements Schedule {
  readonly #seed: number;
  #state = 0;
  #switchBelow = 0;

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** Makes the next run number `index`; equal seed and index give an equal schedule. */
  draw(index: number): void {
    this.#state = (Math.imul(this.#seed ^ Math.imul(index + 1, 0x9e3779b1), 0x85ebca6b) ^ index) | 1;
    this.#word();
    this.#switchBelow = 2 ** (31 - (index & 3));
  }

  choose(choices: number, current: number): number {
    if (has(choices, current)) {
      if (this.#word() >= this.#switchBelow) return current;
      choices &= ~(1 << current);
    }
    for (let skip = this.#word() % count(choices); skip > 0; skip--) choices &= choices - 1;
    return lowest(choices);
  }

  #word(): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return this.#state >>> 0;
  }
}

function count(threads: number): number {
  let n = 0;
  for (; threads !== 0; threads &= threads - 1) n++;
  return n;
}

/** Follows decisions made before, and after the last goes on by default. */
export class Told implements Schedule {
  readonly #decisions: readonly number[];
  #at = 0;

  constructor(decisions: readonly number[]) {
    this.#decisions = decisions;
  }

  choose(choices: number, current: number): number {
    const told = this.#decisions[this.#at++];
    return told !== undefined && has(choices, told) ? told : byDefault(choices, current);
  }
}

/** Decisions in short: `0x12 1x3 0x1` is thread 0 twelve times, 1 three times, 0 once. */
export function printDecisions(decisions: readonly number[]): string {
  const runs: [thread: number, times: number][] = [];
  for (const thread of decisions) {
    const last = runs.at(-1);
    if (last?.[0] === thread) last[1]++;
    else runs.push([thread, 1]);
  }
  return runs.map(([thread, times]) => `${thread}x${times}`).join(' ');
}

/** @throws Error when `text` is not what `printDecisions` prints. */
export function parseDecisions(text: string): number[] {
  return text.split(/[ ,]+/).flatMap((run) => {
    const [, thread, times] = /^(\d)x(\d{1,6})$/.exec(run) ?? [];
    if (thread === undefined) throw new Error(`found "${run}" in a schedule, expected such as 0x12`);
    return Array.from({ length: Number(times) }, () => Number(thread));
  });
}
