/** Reads flows back out of the arena, and matches keys the plain way. */
import {
  BATCH_FLOWS,
  BATCH_STRIDE,
  BLOCK_STRIDE,
  BODY_PROGRAM,
  BODY_STRIDE,
  type Datapath,
  FLOW_STRIDE,
  OP_DROP,
  OP_END,
  OP_NEXT,
  OP_OUTPUT,
  OP_POP_VLAN,
  OP_PUSH_VLAN,
  OP_SET,
  regionAddress,
} from '../../src/datapath.ts';

/** Words of each operation, itself included. */
const WORDS: Record<number, number> = {
  [OP_END]: 1,
  [OP_OUTPUT]: 2,
  [OP_SET]: 4,
  [OP_PUSH_VLAN]: 2,
  [OP_POP_VLAN]: 1,
  [OP_DROP]: 2,
};

/** Address of a flow's record, and the number of the flow at an address. */
export const flowAddress = (datapath: Datapath, flow: number): number =>
  regionAddress(datapath.arena, 'flows') + flow * FLOW_STRIDE;

export const flowNumber = (datapath: Datapath, address: number): number =>
  (address - regionAddress(datapath.arena, 'flows')) / FLOW_STRIDE;

/** Addresses of the flows that the last batch of a thread found, 0 for none. */
export function foundInBatch({ arena, thread, u32 }: Datapath, keys: number): number[] {
  const at = (regionAddress(arena, 'batches') + thread * BATCH_STRIDE + BATCH_FLOWS) >> 2;
  return [...u32.subarray(at, at + keys)];
}

/** A flow's program as it was given to `install`, put together again from its blocks. */
export function readProgram(datapath: Datapath, flow: number): number[] {
  const { u32 } = datapath;
  const blocks = regionAddress(datapath.arena, 'blocks');
  const program: number[] = [];
  const body = regionAddress(datapath.arena, 'flowBodies') + flow * BODY_STRIDE;
  for (let at = (body + BODY_PROGRAM) >> 2; ; ) {
    const operation = u32[at]!;
    if (operation === OP_NEXT) {
      at = (blocks + u32[at + 1]! * BLOCK_STRIDE) >> 2;
      continue;
    }
    const words = WORDS[operation];
    if (words === undefined) throw new Error(`operation ${operation} in the program of flow ${flow}`);
    program.push(...u32.subarray(at, at + words));
    if (operation === OP_END) return program;
    at += words;
  }
}

export const masked = (key: Uint8Array, mask: Uint8Array): Uint8Array =>
  key.map((byte, i) => byte & mask[i]!);

export const matches = (key: Uint8Array, mask: Uint8Array, value: Uint8Array): boolean =>
  key.every((byte, i) => (byte & mask[i]!) === value[i]);
