/** Groups: lists of buckets of actions, of which a packet takes all, one, or the first that is alive. */
import type { Action } from './action.ts';
import type { Field } from './fields.ts';
import type { Masked } from './values.ts';

export interface Bucket {
  /** Unique in its group. */
  readonly id: number;
  /** Its share of a select group's packets; 0 gets none. */
  readonly weight: number;
  /** The bucket is alive while this port has its link, and this group a bucket that is alive. */
  readonly watchPort?: number;
  readonly watchGroup?: number;
  readonly actions: readonly Action[];
}

export interface SelectedField extends Masked {
  readonly field: Field;
}

/** How a select group chooses: by the datapath's own hash, or by a hash of these fields. */
export interface Selection {
  readonly method: 'dp_hash' | 'hash';
  readonly param: bigint;
  readonly fields: readonly SelectedField[];
}

export interface Group {
  readonly id: number;
  readonly type: 'all' | 'select' | 'indirect' | 'fastFailover';
  readonly selection?: Selection;
  readonly buckets: readonly Bucket[];
}
