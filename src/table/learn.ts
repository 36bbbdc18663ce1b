/** What a learn action makes of a packet: a flow (ovs-actions(7), "The learn action"). */
import type { Action, LearnAction, LearnSource } from './action.ts';
import type { Subfield } from './fields.ts';
import { bytesOf, KEY_WORDS, Match } from './match.ts';
import type { Packet } from './packet.ts';
import type { Flow } from './parse.ts';
import { placed } from './subfield.ts';

/** The flow to add; what it takes from the packet is looked at. */
export function learnedFlow(action: LearnAction, packet: Packet): Flow {
  const [value, mask] = [new Uint32Array(KEY_WORDS), new Uint32Array(KEY_WORDS)];
  const { finIdleTimeoutS, finHardTimeoutS } = action;
  const actions: Action[] = [];
  if (finIdleTimeoutS || finHardTimeoutS) {
    actions.push({ kind: 'finTimeout', idleTimeoutS: finIdleTimeoutS, hardTimeoutS: finHardTimeoutS });
  }
  const numberOf = (source: LearnSource): bigint =>
    typeof source === 'bigint' ? source : packet.read(source);
  for (const spec of action.specs) {
    const number = numberOf(spec.source);
    if (spec.kind === 'match') require(value, mask, spec.to, number);
    else if (spec.kind === 'load') actions.push({ kind: 'load', value: number, to: spec.to });
    else actions.push({ kind: 'output', port: Number(number) });
  }
  const { table, priority, cookie, idleTimeoutS, hardTimeoutS, sendFlowRemoved } = action;
  return {
    table,
    priority,
    cookie,
    match: new Match(value, mask),
    actions,
    idleTimeoutS,
    hardTimeoutS,
    importance: 0,
    flags: {
      sendFlowRemoved,
      checkOverlap: false,
      resetCounts: false,
      noPacketCounts: false,
      noByteCounts: false,
    },
  };
}

/** Adds to a match that a field has a number in some bits. */
function require(value: Uint32Array, mask: Uint32Array, to: Subfield, number: bigint): void {
  const wanted = placed(to, number);
  const [values, masks] = [bytesOf(value), bytesOf(mask)];
  for (const [i, bits] of wanted.mask.entries()) {
    const at = to.field.offset + i;
    values[at] = (values[at]! & ~bits) | wanted.value[i]!;
    masks[at]! |= bits;
  }
}
