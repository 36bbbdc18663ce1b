/**
 * Tracks a thread's batch as it stands, apart from flows: for the benches, and for captures of which only the
 * ct_state is wanted.
 */
import { CT_NAT, NAT_HAS_ADDRESS, NAT_SOURCE } from '../action/opcode';
import { BATCH_SCRATCH, batch, frameIn, keyIn } from '../batch';
import { enter } from '../memory/epoch';
import { frameAt } from '../packet/frame';
import { parse } from '../packet/parse';
import { NatRequest } from './nat';
import { CtRequest } from './request';
import { forgetTracking } from './state';
import { track } from './track';
import { letGo } from './train';

const REQUEST_ROOM: usize = 64; // behind which there is room for a NatRequest

let firstSource: u32 = 0; // network order, as the last
let lastSource: u32 = 0;

/** Parses the first `n` frames of this thread's batch; what is malformed has no headers then. */
export function parseBatch(n: u32): void {
  for (let i: u32 = 0; i < n; i++) parse(frameAt(frameIn(i)), keyIn(i));
}

/** Says to which addresses `trackBatch` translates sources if CT_NAT is asked for. In host order. */
export function setSourceRange(first: u32, last: u32): void {
  firstSource = bswap<u32>(first);
  lastSource = bswap<u32>(last);
}

/** Tracks the first `n` frames, which are parsed, as packets that were never tracked before. `flags` are CT_…. */
export function trackBatch(n: u32, zone: u32, flags: u32): void {
  enter();
  const request = changetype<CtRequest>(batch() + BATCH_SCRATCH);
  request.flags = flags;
  request.zone = zone;
  request.mark = 0;
  request.markMask = 0;
  const nat = flags & CT_NAT ? batch() + BATCH_SCRATCH + REQUEST_ROOM : 0;
  if (nat != 0) askForSource(changetype<NatRequest>(nat));
  for (let i: u32 = 0; i < n; i++) {
    const frame = frameAt(frameIn(i));
    forgetTracking(frame);
    track(frame, request, 0, nat);
  }
  letGo();
}

function askForSource(nat: NatRequest): void {
  memory.fill(changetype<usize>(nat), 0, offsetof<NatRequest>());
  nat.flags = NAT_SOURCE | NAT_HAS_ADDRESS;
  nat.firstAddress = firstSource;
  nat.lastAddress = lastSource;
}
