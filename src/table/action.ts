/**
 * What a rule does with a packet: a list of actions, carried out in order. An empty list drops.
 */
import type { Field } from './fields.ts';
import type { Masked } from './values.ts';

/** Sets a field of packets that have it. `spelling` is how it was written and is printed. */
export interface SetAction extends Masked {
  readonly kind: 'set';
  readonly spelling: string;
  readonly field: Field;
}

export type Action =
  | { readonly kind: 'output'; readonly port: number }
  | { readonly kind: 'inPort' | 'flood' | 'all' | 'normal' }
  | SetAction
  | { readonly kind: 'pushVlan'; readonly tpid: number }
  | { readonly kind: 'popVlan' }
  /** Looks the packet up again, in `table` (default: the same one), as if it had come in on `port`. */
  | { readonly kind: 'resubmit'; readonly port: number | undefined; readonly table: number | undefined }
  | { readonly kind: 'goto'; readonly table: number };

/** The `mod_vlan_…` actions and setting the whole TCI tag a packet that has no tag. */
export const addsTag = ({ spelling, field }: SetAction): boolean =>
  spelling !== 'set_field' || field.name === 'vlan_tci';
