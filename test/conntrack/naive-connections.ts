/** Connections as they should be, in maps and sets: who owns which tuple, until when, and what limits count. */
import { type Ends, ORIGINAL, REPLY, reverse } from '../support/connections.ts';

export interface NaiveConnection {
  original: Ends;
  reply: Ends;
  isReversed: boolean;
  isLive: boolean;
  isReserved: boolean;
  expiresMs: number;
}

const key = (tuple: Ends): string => JSON.stringify(tuple);
const isSame = (a: Ends, b: Ends): boolean => key(a) === key(b);

/** A limit, and what was admitted under it and is still there. */
interface Limit {
  most: number;
  members: Set<number>;
}

export class NaiveConnections {
  readonly byNumber = new Map<number, NaiveConnection>();
  #most: number;
  readonly #own = new Map<number, Limit>();
  #byDefault: { most: number; zones: Map<number, Set<number>> } = { most: 0, zones: new Map() };
  nowMs = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get hasRoom(): boolean {
    this.expire();
    return this.byNumber.size < this.#most;
  }

  take(number: number, original: Ends, reply: Ends | undefined, expiresMs: number): void {
    this.byNumber.set(number, {
      original,
      reply: reply ?? reverse(original),
      isReversed: reply !== undefined,
      isLive: false,
      isReserved: false,
      expiresMs,
    });
  }

  /** Forgets what is over. */
  expire(): void {
    for (const [number, { isLive, expiresMs }] of this.byNumber) {
      if (isLive && this.nowMs >= expiresMs) this.remove(number);
    }
  }

  remove(number: number): void {
    this.byNumber.delete(number);
    for (const { members } of this.#own.values()) members.delete(number);
    for (const members of this.#byDefault.zones.values()) members.delete(number);
  }

  /** Who has a tuple, and as what. */
  ownerOf(tuple: Ends): { number: number; direction: number; isLive: boolean } | undefined {
    this.expire();
    for (const [number, { original, reply, isLive, isReserved }] of this.byNumber) {
      if (isLive && isSame(original, tuple)) return { number, direction: ORIGINAL, isLive };
      if ((isLive || isReserved) && isSame(reply, tuple)) return { number, direction: REPLY, isLive };
    }
    return undefined;
  }

  lookUp(tuple: Ends): number | undefined {
    const owner = this.ownerOf(tuple);
    return owner?.isLive ? owner.number * 2 + owner.direction : undefined;
  }

  // Limits

  #limitOf(zone: number): Limit | undefined {
    const own = this.#own.get(zone);
    if (own) return own;
    const { most, zones } = this.#byDefault;
    if (most === 0) return undefined;
    if (!zones.has(zone)) zones.set(zone, new Set());
    return { most, members: zones.get(zone)! };
  }

  admit(number: number): boolean {
    this.expire();
    const limit = this.#limitOf(this.byNumber.get(number)!.original.zone);
    if (!limit) return true;
    if (limit.members.size >= limit.most) return false;
    limit.members.add(number);
    return true;
  }

  countOf(zone: number): number {
    return this.#limitOf(zone)?.members.size ?? 0;
  }

  setMost(most: number): void {
    this.#most = most;
  }

  setLimit(zone: number, most: number): void {
    const members = this.#own.get(zone)?.members ?? new Set();
    this.#own.set(zone, { most, members });
  }

  deleteLimit(zone: number): void {
    if (this.#own.delete(zone)) this.#byDefault.zones.delete(zone);
  }

  setDefault(most: number): void {
    const isSame = most !== 0 && this.#byDefault.most !== 0;
    this.#byDefault = { most, zones: isSame ? this.#byDefault.zones : new Map() };
  }
}
