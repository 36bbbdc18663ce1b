/** The last that happened, in words when they are wanted: what led to a packet on which the two disagree. */
import { type Call, callText, type Passing, stateText } from './call.ts';
import type { Life } from './life.ts';
import { describe, nameOf, type Packet } from './packet.ts';

const KEPT = 1000;
const SHOWN = 40;

/** One ct() of a packet; what `passing` says is there when that has been done. */
interface Entry {
  atMs: number;
  life: Life;
  packet: Packet;
  call: Call;
  passing: Passing;
}

interface Kept extends Entry {
  told?: Passing['told'];
  after?: Packet;
}

export class History {
  readonly #kept: (Kept | string)[] = [];
  #last: Kept | undefined;

  note(entry: Entry): void {
    this.#finish();
    this.#last = entry;
    this.#keep(entry);
  }

  say(what: string): void {
    this.#finish();
    this.#keep(what);
  }

  /** The packets of the last one's connection and hosts, and what happened between them. */
  text(): string {
    this.#finish();
    const last = this.#last;
    const isOf = (entry: Kept | string): boolean =>
      typeof entry === 'string' ||
      entry === last ||
      entry.life === last?.life ||
      (entry.told?.connection !== undefined && entry.told.connection === last?.told?.connection);
    return this.#kept.filter(isOf).slice(-SHOWN).map(line).join('\n');
  }

  #keep(what: Kept | string): void {
    this.#kept.push(what);
    if (this.#kept.length > 2 * KEPT) this.#kept.splice(0, KEPT);
  }

  /** Notes what was told of the last packet before that goes on. */
  #finish(): void {
    const last = this.#last;
    if (!last || last.after) return;
    last.told = last.passing.told;
    last.after = last.passing.packet;
  }
}

function line(entry: Kept | string): string {
  if (typeof entry === 'string') return `        ${entry}`;
  const { atMs, packet, call, told, after } = entry;
  const lines = [`${atMs} ms  ${describe(packet)}`, callText(call)];
  const of = told?.connection ? ` of ${nameOf(told.connection.tuples[0])}` : '';
  if (told) lines.push(stateText(told.state) + of);
  if (after && after !== packet) lines.push(`leaves as ${describe(after)}`);
  return lines.join('\n        ');
}
