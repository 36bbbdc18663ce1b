/** Groups: lists of buckets of actions, of which a packet takes all, one, or the first that is alive. */
import type { Action } from './action.ts';
import type { Field } from './fields.ts';

export interface Bucket {
  /** Unique in its group. */
  readonly id: number;
  /** Its share of a select group's packets; 0 gets none. Other groups' buckets have none: 0. */
  readonly weight: number;
  /** The bucket is alive while this port has its link, and this group a bucket that is alive. */
  readonly watchPort?: number;
  readonly watchGroup?: number;
  readonly actions: readonly Action[];
}

export interface SelectedField {
  readonly field: Field;
  /** The bits that count, as they stand in the field's key bytes. */
  readonly mask: Uint8Array;
}

/** How a select group chooses: by the datapath's own hash, or by a hash of these fields. */
export interface Selection {
  readonly method: 'dp_hash' | 'hash';
  readonly param: bigint;
  /** In one order, however they were written. */
  readonly fields: readonly SelectedField[];
}

export type GroupType = 'all' | 'select' | 'indirect' | 'fastFailover';

export interface Group {
  readonly id: number;
  readonly type: GroupType;
  /** Only of a select group. */
  readonly selection?: Selection;
  /** An indirect group has one. */
  readonly buckets: readonly Bucket[];
}
