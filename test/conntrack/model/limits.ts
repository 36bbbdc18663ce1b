/** Limits of zones. A count is of those that were admitted under a limit and are still there. */
export interface Count {
  n: number;
}

export class Limits {
  readonly #own = new Map<number, { most: number; count: Count }>();
  #default = 0;
  #inherited = new Map<number, Count>();

  /** A zone's own, or undefined. */
  of(zone: number): number | undefined {
    return this.#own.get(zone)?.most;
  }

  countOf(zone: number): number {
    return this.#under(zone)?.count.n ?? 0;
  }

  /** Counts one more: the count that it is in, 'none' if there is no limit, 'full' if it is reached. */
  admit(zone: number): Count | 'none' | 'full' {
    const limit = this.#under(zone);
    if (!limit) return 'none';
    if (limit.count.n >= limit.most) return 'full';
    limit.count.n++;
    return limit.count;
  }

  /** Another value goes on counting; where there was none it begins at 0. */
  set(zone: number, most: number): void {
    this.#own.set(zone, { most, count: this.#own.get(zone)?.count ?? { n: 0 } });
  }

  delete(zone: number): void {
    if (this.#own.delete(zone)) this.#inherited.delete(zone);
  }

  /** 0 is none. */
  setDefault(most: number): void {
    if (most === 0 || this.#default === 0) this.#inherited = new Map();
    this.#default = most;
  }

  #under(zone: number): { most: number; count: Count } | undefined {
    const own = this.#own.get(zone);
    if (own || this.#default === 0) return own;
    let count = this.#inherited.get(zone);
    if (!count) {
      count = { n: 0 };
      this.#inherited.set(zone, count);
    }
    return { most: this.#default, count };
  }
}
