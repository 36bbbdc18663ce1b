/** Numbers for things that programs name: equal things have equal numbers, and there are only so many. */

/** What a thing consists of, as text. */
const identityOf = (thing: unknown): string =>
  JSON.stringify(thing, (_, value) => {
    if (typeof value === 'bigint') return `${value}n`;
    return value instanceof Uint8Array ? [...value] : value;
  });

export class Numbers<T> {
  readonly #limit: number;
  readonly #numbers = new Map<string, number>();
  readonly #things: T[] = [];

  /** For at most `limit` things, numbered from 1. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The number of a thing, from now on if it had none; undefined when there is none left. */
  numberOf(thing: T): number | undefined {
    const identity = identityOf(thing);
    const known = this.#numbers.get(identity);
    if (known !== undefined || this.#things.length === this.#limit) return known;
    const number = this.#things.push(thing);
    this.#numbers.set(identity, number);
    return number;
  }

  /** The thing that has a number. */
  get(number: number): T | undefined {
    return this.#things[number - 1];
  }
}
