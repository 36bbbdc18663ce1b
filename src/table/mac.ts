/** What a bridge learns: behind which port a station was last heard, for each VLAN (IEEE 802.1Q §8.7). */

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

/** What is known of stations. */
export interface Stations {
  /** Notes that a station was heard on a port. A multicast address is no station, and old news is no news. */
  learn(sender: Sighting, heardMs: number): void;
  lookup(vlan: number, mac: number): MacEntry | undefined;
}

/** The group bit, the first to be sent: bit 40 of the number (IEEE 802 §8.2). */
export const isMulticast = (mac: number): boolean => Math.floor(mac / 2 ** 40) % 2 === 1;
