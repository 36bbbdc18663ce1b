/**
 * Numbers for things that programs name: equal things have equal numbers, and there are only so many.
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

  /** Forgets what nobody has kept or asked for since the call before. */
  sweep(): void {
    for (const number of this.#stale) {
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
