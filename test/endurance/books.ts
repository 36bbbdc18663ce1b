/** What a switch must be able to account for: every packet and copy that came in, and every frame. */
import { setTimeout as later } from 'node:timers/promises';
import type { TestSwitch } from '../support/switch.ts';

/** As `heddle show counters` and `heddle show memory` have it. */
export interface Books {
  received: number;
  forwarded: number;
  dropped: Record<string, number>;
  /** Received, without a fate. */
  underWay: number;
  copied: number;
  copiesUnderWay: number;
  frames: FramesUse;
  largeFrames: FramesUse;
  /** Of flows, from one state to another. */
  refusedMoves: number;
  /** Rings between threads with something in them. */
  busyRings: number;
}

interface FramesUse {
  used: number;
  mostUsed: number;
  all: number;
}

/** Longer than fragments wait for the rest of their datagram. */
const SETTLED_MS = 20_000;

export async function booksOf(heddle: TestSwitch): Promise<Books> {
  const rows = await heddle.ask({ command: 'show', what: 'counters' });
  const memory = await heddle.ask({ command: 'show', what: 'memory' });
  const counters = Object.fromEntries(rows.map(({ name, value }) => [name, value]));
  const under = (prefix: string) =>
    Object.fromEntries(
      rows
        .filter(({ name, value }) => name.startsWith(prefix) && value > 0)
        .map(({ name, value }) => [name.slice(prefix.length), value]),
    );
  const use = (name: string): FramesUse => {
    const { used, mostUsed, records } = memory.find(({ region }) => region === name)!;
    return { used: used!, mostUsed: mostUsed ?? 0, all: records };
  };
  const dropped = under('dropped.');
  const { received, forwarded, copied, copiesForwarded, refusedMoves } = counters as Record<string, number>;
  return {
    received: received!,
    forwarded: forwarded!,
    dropped,
    underWay: received! - forwarded! - sum(dropped),
    copied: copied!,
    copiesUnderWay: copied! - copiesForwarded! - sum(under('copiesDropped.')),
    frames: use('frames'),
    largeFrames: use('largeFrames'),
    refusedMoves: refusedMoves!,
    busyRings: use('rings').used,
  };
}

/**
 * Removes every port, and waits until nothing is under way. Returns what does not balance then: packets or copies
 * without a fate, frames that nobody gave back.
 */
export async function unbalanced(heddle: TestSwitch): Promise<{ books: Books; wrong: string[] }> {
  for (const { name } of await heddle.ask({ command: 'show', what: 'ports' })) {
    await heddle.ask({ command: 'port', action: 'remove', name });
  }
  const endMs = Date.now() + SETTLED_MS;
  for (;;) {
    const books = await booksOf(heddle);
    const left = {
      'packets without a fate': books.underWay,
      'copies without a fate': books.copiesUnderWay,
      'frames not given back': books.frames.used,
      'large frames not given back': books.largeFrames.used,
      'rings not empty': books.busyRings,
      'moves of flows refused': books.refusedMoves,
    };
    const wrong = Object.entries(left).flatMap(([what, n]) => (n === 0 ? [] : [`${n} ${what}`]));
    if (wrong.length === 0 || Date.now() > endMs) return { books, wrong };
    await later(50);
  }
}

/** Threads died of nothing but the command to die. */
export function otherDeaths(heddle: TestSwitch): string[] {
  return heddle
    .log()
    .split('\n')
    .filter((line) => /thread \d+ died: /.test(line) && !line.includes('it was killed by command'));
}

export function sum(values: Record<string, number>): number {
  return Object.values(values).reduce((a, b) => a + b, 0);
}
