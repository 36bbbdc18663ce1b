/** Arenas with few numbers for names, so that tests come to the last of them. */
import { NAME_QUEUE_STRIDE, NAME_QUEUES, NameQueue, regionAddress } from '../../src/datapath.ts';
import type { Rig } from './rig.ts';

/** Leaves a kind so many numbers. None is given out yet. */
export function leaveNumbers({ arena, datapath }: Rig, kind: number, numbers: number): void {
  const queue = regionAddress(arena, 'nameTable') + NAME_QUEUES + kind * NAME_QUEUE_STRIDE;
  datapath.u64[(queue + NameQueue.put) >> 3] = BigInt(numbers);
}
