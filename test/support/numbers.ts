/**
 * The naive twin of the arena's names: numbers for things that programs name, in one thread. Equal things have equal
 * numbers, and there are only so many.
 *
 * Who keeps a number says so (`retain`) and says when it is done (`release`). A number that nobody keeps is still
 * good for a while, since packets may be under way with it: it goes when the second `sweep` finds that it was
 * neither kept nor asked for, and is then given out again as late as can be.
 */

/** What a thing consists of, as text. */
const identityOf = (thing: unknown): string =>
  JSON.stringify(thing, (_, value) => {
    if (typeof value === 'bigint') return `${value}n`;
    return value instanceof Uint8Array ? [...value] : value;
  });

interface Numbered<T> {
  readonly thing: T;
  readonly identity: string;
  keepers: number;
}

export class Numbers<T> {
  readonly #limit: number;
  readonly #numbers = new Map<string, number>();
  readonly #things = new Map<number, Numbered<T>>();
  /** Numbers given up, the longest ago first. */
  readonly #free = new Set<number>();
  /** Numbers nobody keeps: asked for since the last sweep, and not since then. */
  #fresh = new Set<number>();
  #stale = new Set<number>();
  #highest = 0;

  /** For at most `limit` things, numbered from 1. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** How many things have a number. */
  get size(): number {
    return this.#things.size;
  }

  /** The number of a thing, from now on if it had none; undefined when there is none left. */
  numberOf(thing: T): number | undefined {
    const identity = identityOf(thing);
    const number = this.#numbers.get(identity) ?? this.#give(thing, identity);
    if (number !== undefined && this.#things.get(number)!.keepers === 0) this.#refresh(number);
    return number;
  }

  /** The thing that has a number. */
  get(number: number): T | undefined {
    return this.#things.get(number)?.thing;
  }

  /** Numbers as they are and would be given out from now on; none is. */
  preview(): Pick<Numbers<T>, 'numberOf' | 'get'> {
    const given = new Map<string, number>();
    const things = new Map<number, T>();
    const free = this.#free.values();
    let highest = this.#highest;
    const numberOf = (thing: T): number | undefined => {
      const identity = identityOf(thing);
      const known = this.#numbers.get(identity) ?? given.get(identity);
      if (known !== undefined) return known;
      const number = highest < this.#limit ? ++highest : free.next().value;
      if (number === undefined) return undefined;
      given.set(identity, number);
      things.set(number, thing);
      return number;
    };
    return { numberOf, get: (number) => things.get(number) ?? this.get(number) };
  }

  /** Keeps a number that is given out. */
  retain(number: number): void {
    this.#things.get(number)!.keepers++;
    this.#fresh.delete(number);
    this.#stale.delete(number);
  }

  /** One less keeps it. */
  release(number: number): void {
    if (--this.#things.get(number)!.keepers === 0) this.#refresh(number);
  }

  /** Forgets what nobody has kept or asked for since the call before, the highest number first. */
  sweep(): void {
    for (const number of [...this.#stale].sort((a, b) => b - a)) {
      this.#numbers.delete(this.#things.get(number)!.identity);
      this.#things.delete(number);
      this.#free.add(number);
    }
    this.#stale = this.#fresh;
    this.#fresh = new Set();
  }

  #give(thing: T, identity: string): number | undefined {
    const number = this.#highest < this.#limit ? ++this.#highest : this.#oldestFree();
    if (number === undefined) return undefined;
    this.#free.delete(number);
    this.#numbers.set(identity, number);
    this.#things.set(number, { thing, identity, keepers: 0 });
    return number;
  }

  #oldestFree(): number | undefined {
    return this.#free.values().next().value;
  }

  #refresh(number: number): void {
    this.#stale.delete(number);
    this.#fresh.add(number);
  }
}
