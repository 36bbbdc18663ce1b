/**
 * The MAC learning table: behind which port a station was last heard, for each VLAN (IEEE 802.1Q §8.7).
 *
 * Entries stand in the order in which they were last heard, so the one to forget is always the first.
 */

export interface MacEntry {
  readonly vlan: number;
  /** 48 bits as a number. */
  readonly mac: number;
  port: number;
  /** Absolute, switch clock. */
  expiresMs: number;
}

export const MAC_AGEING_MS = 300_000;
export const MAC_ENTRIES = 8192;

/** The group bit, the first to be sent: bit 40 of the number (IEEE 802 §8.2). */
export const isMulticast = (mac: number): boolean => Math.floor(mac / 2 ** 40) % 2 === 1;

const keyOf = (vlan: number, mac: number): string => `${vlan} ${mac}`;

export class MacTable {
  /** Goes up when an entry is added, moves to another port or is removed, not when it is refreshed. */
  generation = 0;

  readonly #entries = new Map<string, MacEntry>();
  readonly #capacity: number;
  readonly #ageingMs: number;

  constructor(capacity = MAC_ENTRIES, ageingMs = MAC_AGEING_MS) {
    this.#capacity = capacity;
    this.#ageingMs = ageingMs;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Entries, longest unheard first. */
  entries(): Iterable<MacEntry> {
    return this.#entries.values();
  }

  /** Notes that a station was heard on a port. A multicast address is no station: then undefined. */
  learn(vlan: number, mac: number, port: number, nowMs: number): MacEntry | undefined {
    if (isMulticast(mac)) return undefined;
    const known = this.lookup(vlan, mac);
    if (known) {
      if (known.port !== port) this.generation++;
      known.port = port;
      this.refresh(known, nowMs);
      return known;
    }
    if (this.#entries.size >= this.#capacity) this.#remove(this.#entries.values().next().value!);
    const entry = { vlan, mac, port, expiresMs: nowMs + this.#ageingMs };
    this.#entries.set(keyOf(vlan, mac), entry);
    this.generation++;
    return entry;
  }

  lookup(vlan: number, mac: number): MacEntry | undefined {
    return this.#entries.get(keyOf(vlan, mac));
  }

  /** Notes that an entry's station was heard again. An entry that was removed meanwhile stays removed. */
  refresh(entry: MacEntry, nowMs: number): void {
    const key = keyOf(entry.vlan, entry.mac);
    if (this.#entries.get(key) !== entry) return;
    entry.expiresMs = nowMs + this.#ageingMs;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
  }

  /** Removes what has not been heard for the ageing time. @returns how many entries */
  expire(nowMs: number): number {
    const before = this.#entries.size;
    for (const entry of this.#entries.values()) {
      if (entry.expiresMs > nowMs) break;
      this.#remove(entry);
    }
    return before - this.#entries.size;
  }

  /** Removes what was heard on a port. @returns how many entries */
  forgetPort(port: number): number {
    const before = this.#entries.size;
    for (const entry of this.#entries.values()) if (entry.port === port) this.#remove(entry);
    return before - this.#entries.size;
  }

  #remove(entry: MacEntry): void {
    this.#entries.delete(keyOf(entry.vlan, entry.mac));
    this.generation++;
  }
}
