/**
 * Walks over programs that run nothing. In memory a program that TypeScript gave is one stretch of words. In a
 * flow it goes on in blocks: at OP_NEXT, and among the buckets of OP_SELECT at one whose weight is NONE, which
 * names the block where its salt would be. An operation's own words are never parted.
 */

import { blockAt } from '../flow/flow';
import { NONE } from '../memory/arena';
import { METERS } from './meter';
import {
  MAX_NESTING,
  OP_CLONE,
  OP_CT,
  OP_CT_CLEAR,
  OP_CT_LABEL,
  OP_CT_NAT,
  OP_END,
  OP_METER,
  OP_NEXT,
  OP_SAMPLE,
  OP_SELECT,
  OP_TALLY,
  operationWords,
} from './opcode';
import { TALLIES } from './tally';

/** How many programs stand inside the operation at `pc`. */
export function programsInside(pc: usize): u32 {
  const operation = load<u32>(pc);
  if (operation == OP_SELECT) return load<u32>(pc + 8);
  return operation == OP_CLONE || operation == OP_SAMPLE ? 1 : 0;
}

/** Where a bucket of OP_SELECT stands that is expected at `at`. */
export function bucketAt(at: usize): usize {
  return load<u32>(at + 4) == NONE ? blockAt(load<u32>(at)) : at;
}

/** Behind the own words of the operation at `pc`: where the first program inside it stands, if there is one. */
export function inside(pc: usize): usize {
  const operation = load<u32>(pc);
  let at = pc + ((<usize>operationWords(operation)) << 2);
  if (operation == OP_SELECT) for (let n = load<u32>(pc + 8); n != 0; n--) at = bucketAt(at) + 8;
  return at;
}

/** Behind the last of `open` programs, the first of which stands, or goes on, at `pc`. */
export function behindPrograms(pc: usize, open: u32): usize {
  while (open != 0) {
    const operation = load<u32>(pc);
    if (operation == OP_NEXT) {
      pc = blockAt(load<u32>(pc + 4));
    } else {
      open += programsInside(pc);
      if (operation == OP_END) open--;
      pc = inside(pc);
    }
  }
  return pc;
}

/** Behind the operation at `pc` and all that stands inside it. */
export function behind(pc: usize): usize {
  return behindPrograms(inside(pc), programsInside(pc));
}

/**
 * Whether the words at `program`, of which no more than up to `end` count, are a program that the datapath can
 * run: known operations, numbers in range, not nested too deep.
 */
export function isSound(program: usize, end: usize): bool {
  return endOfSound(program, end, 0) != 0;
}

/** The end of the sound program at `pc`, which has `nesting` around it; 0: it is not sound. */
function endOfSound(pc: usize, end: usize, nesting: u32): usize {
  if (nesting > MAX_NESTING) return 0;
  while (pc < end) {
    const operation = load<u32>(pc);
    if (operation == OP_END) return pc + 4;
    const next = endOfOperation(pc, operation, end);
    if (next == 0) return 0;
    const programs = programsInside(pc);
    pc = next;
    for (let i: u32 = 0; i < programs; i++) {
      pc = endOfSound(pc, end, nesting + 1);
      if (pc == 0) return 0;
    }
  }
  return 0;
}

/** The end of a sound operation's own words; 0: it is not sound. */
function endOfOperation(pc: usize, operation: u32, end: usize): usize {
  if (operation > OP_CT_CLEAR || operation == OP_NEXT) return 0;
  const next = pc + ((<usize>operationWords(operation)) << 2);
  if (next > end) return 0;
  if (operation == OP_CT) return load<u32>(pc + 8) <= 0xffff ? next : 0;
  if (operation == OP_CT_LABEL || operation == OP_CT_NAT) return leadsToCt(next, end) ? next : 0;
  if (operation == OP_METER) return load<u32>(pc + 4) < METERS ? next : 0;
  if (operation == OP_TALLY) return load<u32>(pc + 4) < TALLIES ? next : 0;
  if (operation != OP_SELECT) return next;
  const n = load<u32>(pc + 8);
  if (n > <u32>(end - next) >>> 3) return 0;
  for (let i: u32 = 0; i < n; i++) if (load<u32>(next + ((<usize>i) << 3) + 4) == NONE) return 0;
  return next + ((<usize>n) << 3);
}

/** Whether an OP_CT follows at `pc`, perhaps behind more of what is for it. */
function leadsToCt(pc: usize, end: usize): bool {
  return pc < end && load<u32>(pc) >= OP_CT && load<u32>(pc) <= OP_CT_NAT;
}
