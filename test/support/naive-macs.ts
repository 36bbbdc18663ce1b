/**
 * What NORMAL has learned, the plain way: in a map of one thread's own.
 *
 * Entries stand in the order in which they were last heard, so the one to forget is always the first.
 */
import { isMulticast, type MacEntry, type Sighting, type Stations } from '../../src/table/mac.ts';

const keyOf = (vlan: number, mac: number): string => `${vlan} ${mac}`;

export class NaiveMacs implements Stations {
  /** Goes up when an entry is added, moves to another port or is removed, not when it is refreshed. */
  generation = 0;

  readonly #entries = new Map<string, MacEntry>();
  readonly #capacity: number;
  readonly #ageingMs: number;

  /** For at most `capacity` entries, which are forgotten when they have not been heard for `ageingMs`. */
  constructor(capacity: number, ageingMs: number) {
    this.#capacity = capacity;
    this.#ageingMs = ageingMs;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Entries, in the order in which they were last heard. */
  entries(): Iterable<MacEntry> {
    return this.#entries.values();
  }

  learn({ vlan, mac, port }: Sighting, heardMs: number): void {
    if (isMulticast(mac)) return;
    const known = this.lookup(vlan, mac);
    if (known && heardMs < known.heardMs) return;
    if (known?.port !== port) this.generation++;
    if (known) this.#entries.delete(keyOf(vlan, mac));
    else if (this.#entries.size >= this.#capacity) this.#remove(this.#entries.values().next().value!);
    this.#entries.set(keyOf(vlan, mac), { vlan, mac, port, heardMs });
  }

  lookup(vlan: number, mac: number): MacEntry | undefined {
    return this.#entries.get(keyOf(vlan, mac));
  }

  /** Removes what has not been heard for the ageing time. */
  expire(nowMs: number): void {
    for (const entry of this.#entries.values()) {
      if (entry.heardMs + this.#ageingMs > nowMs) break;
      this.#remove(entry);
    }
  }

  /** Removes what was heard behind ports that `isGone` names. */
  forget(isGone: (port: number) => boolean): void {
    for (const entry of this.#entries.values()) if (isGone(entry.port)) this.#remove(entry);
  }

  #remove(entry: MacEntry): void {
    this.#entries.delete(keyOf(entry.vlan, entry.mac));
    this.generation++;
  }
}
