/** Fragments that wait for their datagrams, from outside: which are taken, and how many there are. */
import { type Arena, regionAddress } from './arena.ts';
import { DATAGRAM_FAMILIES, DatagramTable, FAMILY_STRIDE, FragmentFamily } from './generated/layout.ts';

export type IpVersion = 4 | 6;

/** What is taken of one version of IP. */
export interface FragmentSettings {
  /** Whether its fragments wait for the rest of their datagram; else they are invalid. */
  tracked: boolean;
  /** Bytes of a frame that has a fragment which is not the last. */
  leastBytes: number;
}

export class HeldFragments {
  readonly #u32: Uint32Array;
  readonly #table: number;

  constructor(arena: Arena) {
    this.#u32 = new Uint32Array(arena.memory.buffer);
    this.#table = regionAddress(arena, 'datagramTable');
  }

  /** So many may be held at a time. The arena has room for `fragmentLimit`. */
  get most(): number {
    return this.#u32[(this.#table + DatagramTable.most) >> 2]!;
  }

  set most(fragments: number) {
    this.#u32[(this.#table + DatagramTable.most) >> 2] = fragments;
  }

  /** How many are. */
  held(version: IpVersion): number {
    return this.#u32[this.#word(version, FragmentFamily.held)]!;
  }

  settings(version: IpVersion): FragmentSettings {
    return {
      tracked: this.#u32[this.#word(version, FragmentFamily.isIgnored)] === 0,
      leastBytes: this.#u32[this.#word(version, FragmentFamily.leastBytes)]!,
    };
  }

  /** What is left out stays as it is. */
  set(version: IpVersion, { tracked, leastBytes }: Partial<FragmentSettings>): void {
    if (tracked !== undefined) this.#u32[this.#word(version, FragmentFamily.isIgnored)] = tracked ? 0 : 1;
    if (leastBytes !== undefined) this.#u32[this.#word(version, FragmentFamily.leastBytes)] = leastBytes;
  }

  #word(version: IpVersion, field: number): number {
    const family = version === 4 ? 0 : 1;
    return (this.#table + DATAGRAM_FAMILIES + family * FAMILY_STRIDE + field) >> 2;
  }
}
