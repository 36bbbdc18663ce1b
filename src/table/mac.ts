/**
 * The MAC learning table: behind which port a station was last heard, for each VLAN (IEEE 802.1Q §8.7).
 *
 * Entries stand in the order in which they were last heard, so the one to forget is always the first.
 */

/** What a packet tells of its sender. */
export interface Sighting {
  readonly vlan: number;
  /** 48 bits as a number. */
  readonly mac: number;
  readonly port: number;
}

export interface MacEntry extends Sighting {
  /** When it was last heard, switch clock. */
  readonly heardMs: number;
}

/** The group bit, the first to be sent: bit 40 of the number (IEEE 802 §8.2). */
export const isMulticast = (mac: number): boolean => Math.floor(mac / 2 ** 40) % 2 === 1;

const keyOf = (vlan: number, mac: number): string => `${vlan} ${mac}`;

export class MacTable {
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

  /** Entries, longest unheard first. */
  entries(): Iterable<MacEntry> {
    return this.#entries.values();
  }

  /** Notes that a station was heard on a port. A multicast address is no station, and old news is no news. */
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
