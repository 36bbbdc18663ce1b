/** Meters: limits to what a flow may carry. */

/** Acts on what is above `rate`, in the meter's unit a second, once `burst` (kilobits or packets) is used up. */
export interface Band {
  readonly type: 'drop' | 'dscp_remark';
  readonly rate: number;
  readonly burst: number;
  /** By how much `dscp_remark` raises the drop precedence. */
  readonly precLevel?: number;
}

export interface Meter {
  readonly id: number;
  readonly unit: 'kbps' | 'pktps';
  /** Whether bursts were asked for. */
  readonly burst: boolean;
  readonly stats: boolean;
  readonly bands: readonly Band[];
}
