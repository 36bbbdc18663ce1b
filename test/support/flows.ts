/** Reads flows back out of the arena, and matches keys the plain way. */
import {
  BATCH_FLOWS,
  BATCH_STRIDE,
  BLOCK_STRIDE,
  BODY_PROGRAM,
  BODY_STRIDE,
  type Datapath,
  FLOW_STRIDE,
  NONE,
  OP_CLONE,
  OP_CONTROLLER,
  OP_CT,
  OP_CT_CLEAR,
  OP_CT_LABEL,
  OP_CT_NAT,
  OP_DROP,
  OP_END,
  OP_METER,
  OP_NEXT,
  OP_OUTPUT,
  OP_POP_MPLS,
  OP_POP_VLAN,
  OP_PUSH_MPLS,
  OP_PUSH_VLAN,
  OP_RECIRCULATE,
  OP_SAMPLE,
  OP_SELECT,
  OP_SET,
  OP_TALLY,
  OP_TRUNCATE,
  regionAddress,
} from '../../src/datapath.ts';

/** Words of each operation, itself included, without buckets and programs inside. */
const WORDS: Record<number, number> = {
  [OP_END]: 1,
  [OP_OUTPUT]: 2,
  [OP_SET]: 4,
  [OP_PUSH_VLAN]: 2,
  [OP_POP_VLAN]: 1,
  [OP_DROP]: 2,
  [OP_PUSH_MPLS]: 3,
  [OP_POP_MPLS]: 2,
  [OP_TRUNCATE]: 2,
  [OP_METER]: 2,
  [OP_CLONE]: 1,
  [OP_SAMPLE]: 2,
  [OP_SELECT]: 3,
  [OP_TALLY]: 2,
  [OP_CONTROLLER]: 2,
  [OP_RECIRCULATE]: 2,
  [OP_CT]: 5,
  [OP_CT_LABEL]: 9,
  [OP_CT_NAT]: 11,
  [OP_CT_CLEAR]: 1,
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
  const blockAt = (block: number): number => (blocks + block * BLOCK_STRIDE) >> 2;
  const program: number[] = [];
  const body = regionAddress(datapath.arena, 'flowBodies') + flow * BODY_STRIDE;
  let at = (body + BODY_PROGRAM) >> 2;
  const copy = (words: number): void => {
    program.push(...u32.subarray(at, at + words));
    at += words;
  };
  for (let open = 1; open > 0; ) {
    const operation = u32[at]!;
    if (operation === OP_NEXT) {
      at = blockAt(u32[at + 1]!);
      continue;
    }
    const words = WORDS[operation];
    if (words === undefined) throw new Error(`operation ${operation} in the program of flow ${flow}`);
    copy(words);
    if (operation === OP_END) open--;
    if (operation === OP_CLONE || operation === OP_SAMPLE) open++;
    if (operation !== OP_SELECT) continue;
    const buckets = program.at(-1)!;
    open += buckets;
    for (let i = 0; i < buckets; i++) {
      if (u32[at + 1] === NONE) at = blockAt(u32[at]!);
      copy(2);
    }
  }
  return program;
}

export const masked = (key: Uint8Array, mask: Uint8Array): Uint8Array =>
  key.map((byte, i) => byte & mask[i]!);

export const matches = (key: Uint8Array, mask: Uint8Array, value: Uint8Array): boolean =>
  key.every((byte, i) => (byte & mask[i]!) === value[i]);
