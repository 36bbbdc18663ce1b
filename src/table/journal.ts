/**
 * All or nothing: what changes the tables notes here how to undo it, so that of several changes made together
 * either all stay or none.
 */
export class Journal {
  /** How to undo what was done so far, latest last; undefined while nothing is attempted. */
  #undo: (() => void)[] | undefined;

  /** Notes how to undo what was just done. */
  note(undo: () => void): void {
    this.#undo?.push(undo);
  }

  /** Does `work`; when it throws, everything is as before. One inside another is part of it. */
  attempt<T>(work: () => T): T {
    if (this.#undo) return work();
    const undo: (() => void)[] = [];
    this.#undo = undo;
    try {
      return work();
    } catch (error) {
      this.#undo = undefined;
      for (const step of undo.reverse()) step();
      throw error;
    } finally {
      this.#undo = undefined;
    }
  }
}

/** A map by number of which changes can be undone. */
export class JournaledMap<V> {
  readonly #map = new Map<number, V>();
  readonly #journal: Journal;
  #touched = new Set<number>();

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  get size(): number {
    return this.#map.size;
  }

  get(key: number): V | undefined {
    return this.#map.get(key);
  }

  /** By number. */
  entries(): [number, V][] {
    return [...this.#map].sort(([a], [b]) => a - b);
  }

  /** Keys that may have been set or deleted since the last call. */
  takeTouched(): number[] {
    const touched = [...this.#touched];
    this.#touched = new Set();
    return touched;
  }

  set(key: number, value: V): void {
    this.#noteUndo(key);
    this.#map.set(key, value);
  }

  delete(key: number): void {
    this.#noteUndo(key);
    this.#map.delete(key);
  }

  #noteUndo(key: number): void {
    const before = this.#map.get(key);
    this.#touched.add(key);
    this.#journal.note(() => {
      if (before === undefined) this.#map.delete(key);
      else this.#map.set(key, before);
    });
  }
}

/** A change that cannot be made: what was found and what was expected. */
export class Refusal extends Error {
  readonly found: string;
  readonly expected: string;

  constructor(found: string, expected: string) {
    super(`${found}; expected ${expected}`);
    this.name = 'Refusal';
    this.found = found;
    this.expected = expected;
  }
}
