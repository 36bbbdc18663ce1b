/** The flows that are installed, as rows, a slice at a time: no miss waits for a list of all. */
import { type Datapath, Lives, Observer, POOL_FLOWS } from '../datapath.ts';
import type { MegaflowRow } from '../model.ts';
import { formatMegaflow } from '../table/megaflow.ts';
import type { PortNames } from '../table/values.ts';

/** Flow numbers that one slice goes over. */
const NUMBERS_A_SLICE = 1024;

/** Rows, and where to go on; no `next`: that was all. */
export interface MegaflowSlice {
  rows: MegaflowRow[];
  next?: number;
}

/** The live flows from number `from` on. */
export function megaflowSlice(
  datapath: Datapath,
  ports: PortNames,
  from: number,
  nowMs: number,
): MegaflowSlice {
  const { exports, arena } = datapath;
  const [observer, lives] = [new Observer(arena), new Lives(arena)];
  const all = exports.everTaken(POOL_FLOWS);
  const end = Math.min(all, from + NUMBERS_A_SLICE);
  exports.enter();
  const rows: MegaflowRow[] = [];
  for (let number = from; number < end; number++) {
    if (!datapath.isLive(number)) continue;
    const { packets, bytes, usedMs } = observer.flow(number);
    const mask = datapath.flowMask(number);
    const text = formatMegaflow(lives.key(number), mask, datapath.program(number), ports);
    const lastMs = Math.max(usedMs, lives.of(number).createdMs);
    rows.push({ number, text, packets, bytes, usedMs: Math.max(nowMs - lastMs, 0) });
  }
  exports.leave();
  return end < all ? { rows, next: end } : { rows };
}
