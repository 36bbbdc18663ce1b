/**
 * Tags and labels: headers of which a packet has several, one in front of the other. The key shows the outermost
 * ones, so they change places when others are pushed or popped.
 */
import { Key } from '../datapath.ts';

const ALL = 0xffff_ffff;
export const TCI_WORD = Key.vlanTci >> 2; // its low half; the high half is the Ethernet type
export const TCI_BITS = 0xffff;
const INNER_TCI_WORD = Key.innerTci >> 2; // its high half; the low half is the TCP flags
export const LABEL_WORD = Key.nwSrc >> 2;

/** Where a half word or word stands in the key. */
export interface Place {
  readonly word: number;
  readonly shift: number;
  readonly bits: number;
}

/** Where the key shows them, outermost first. */
export const OUTER_TAG: Place = { word: TCI_WORD, shift: 0, bits: TCI_BITS };
export const INNER_TAG: Place = { word: INNER_TCI_WORD, shift: 16, bits: TCI_BITS };
export const TAG_PLACES: readonly Place[] = [OUTER_TAG, INNER_TAG];
export const LABEL_PLACES: readonly Place[] = [0, 1, 2].map((i) => ({
  word: LABEL_WORD + i,
  shift: 0,
  bits: ALL,
}));

/** A VLAN tag or label stack entry. It never changes: what an action makes of it is another with its number. */
export interface Entry {
  readonly number: number;
  /** The TPID or MPLS EtherType it was pushed with; 0: the packet brought it. */
  readonly type: number;
  /** As it lies in memory. */
  readonly bits: number;
  /** Bits that actions wrote. */
  readonly written: number;
  /** Where the packet brought it. */
  readonly origin: Place | undefined;
}
