/**
 * Trying on one frame, step by step, what a flow's program would do to it, so that it can be told why a packet goes where
 * it goes (src/trial.ts). The frame is the asking thread's, is counted nowhere, and goes back to its pool in the end.
 *
 *     scratch   │ key │     │ words of an operation … │ connection │ … │ counters │
 *               0         TRIAL_WORDS         TRIAL_CONNECTION       as they were
 *
 * What is counted on the way is taken back: a thread's counters are its own to write.
 */
import { change } from './action/change';
import { OP_CT, OP_CT_LABEL, operationWords } from './action/opcode';
import { select } from './action/select';
import { BATCH_SCRATCH, batch } from './batch';
import { Connection } from './conntrack/connection';
import { CtRequest } from './conntrack/request';
import { tryTrack } from './conntrack/trial';
import { COUNTERS } from './counters';
import { PARSED } from './drop';
import { classify } from './flow/classifier';
import { flowNumber } from './flow/flow';
import { Key } from './flow/key';
import { map, NONE } from './memory/arena';
import { enter, leave } from './memory/epoch';
import { self } from './memory/thread';
import { duplicate, frameAt } from './packet/frame';
import { parse } from './packet/parse';
import { continueRound } from './process';

export const TRIAL_WORDS: usize = 256;
export const TRIAL_CONNECTION: usize = 1024;
const TRIAL_COUNTERS: usize = 2048;

const COUNTER_BYTES: usize = (<usize>COUNTERS) << 3;

function scratch(): usize {
  return batch() + BATCH_SCRATCH;
}

function ownKey(): Key {
  return changetype<Key>(scratch());
}

function ownCounters(): usize {
  return map.counters + <usize>self.number * COUNTER_BYTES;
}

function keepCounters(): void {
  memory.copy(scratch() + TRIAL_COUNTERS, ownCounters(), COUNTER_BYTES);
}

function restoreCounters(): void {
  memory.copy(ownCounters(), scratch() + TRIAL_COUNTERS, COUNTER_BYTES);
}

/** Parses a frame into the key. Returns PARSED or the reason to drop it. */
export function tryParse(number: u32): u32 {
  const frame = frameAt(number);
  const reason = parse(frame, ownKey());
  if (reason == PARSED && frame.rounds != 0) continueRound(frame, ownKey());
  return reason;
}

/** The number of the flow that takes a packet with the key now, or NONE. */
export function tryLookUp(): u32 {
  enter();
  const flow = classify(ownKey());
  const number = flow ? flowNumber(flow) : NONE;
  leave();
  return number;
}

/** Does an operation that rewrites the frame. False: it does not fit, and the frame is gone. */
export function tryChange(number: u32): bool {
  keepCounters();
  const isThere = change(number, scratch() + TRIAL_WORDS, ownKey()) != 0;
  restoreCounters();
  return isThere;
}

/** What OP_CT, with what stands before it for it, would make of the frame: TRIAL_… */
export function tryCt(number: u32, isMade: bool): u32 {
  let pc = scratch() + TRIAL_WORDS;
  let label: usize = 0;
  let nat: usize = 0;
  while (load<u32>(pc) != OP_CT) {
    if (load<u32>(pc) == OP_CT_LABEL) label = pc + 4;
    else nat = pc + 4;
    pc += (<usize>operationWords(load<u32>(pc))) << 2;
  }
  const request = changetype<CtRequest>(pc + 4);
  const shown = changetype<Connection>(scratch() + TRIAL_CONNECTION);
  enter();
  keepCounters();
  const outcome = tryTrack(number, request, label, nat, isMade, shown);
  restoreCounters();
  leave();
  return outcome;
}

/** Which of its empty programs OP_SELECT chooses for the key, as an address; 0: none. */
export function trySelect(): usize {
  return select(scratch() + TRIAL_WORDS, ownKey());
}

/** A copy of the frame as it is now, or NONE when there is no free one. */
export function copyTrial(number: u32): u32 {
  const frame = frameAt(number);
  return duplicate(frame, frame.length);
}
