/** The test module (`datapath/test.ts`): the packet path with the functions of its structures in reach. */
import { readFileSync } from 'node:fs';
import { type Arena, Datapath } from '../../src/datapath.ts';

/** Frames, keys, flows and rings are arena addresses; booleans are 0 and 1. */
interface StructureExports {
  // Memory
  acquire(lock: number, thread: number): void;
  release(lock: number): void;
  take(thread: number, pool: number): number;
  give(thread: number, pool: number, number: number): void;
  ringBetween(from: number, to: number): number;
  put(ring: number, value: number): number;
  available(ring: number): number;
  get(ring: number): number;
  currentEpoch(): number;
  enter(): void;

  // Flows
  hashKey(key: number): number;
  classify(key: number): number;
  cached(key: number, hash: number): number;
  remember(hash: number, flow: number): void;
  execute(frame: number, program: number, key: number): void;

  // Packets
  parse(frame: number, key: number): number;
  copyFrame(frame: number): number;
  enqueue(frame: number, port: number): void;
  setWord(frame: number, offset: number, value: number, mask: number): void;
  pushVlan(frame: number, tag: number): number;
  popVlan(frame: number): void;
  pushMpls(frame: number, ethType: number, entry: number): number;
  popMpls(frame: number, ethType: number): void;
  fold(sum: bigint): number;
  sum(at: number, length: number): bigint;
  update(at: number, before: number, after: number): void;
  updatePartial(at: number, before: number, after: number): void;
  crc32c(crc: number, at: number, length: number): number;
  crc32cZeros(crc: number, bytes: number): number;
  verifyChecksum(frame: number): number;
  completeChecksum(frame: number): void;
  segmentHeaders(frame: number): number;
  segmentCount(frame: number): number;
  cutSegment(frame: number, headers: number, offset: number): number;
}

export function loadTestModule(): WebAssembly.Module {
  return new WebAssembly.Module(readFileSync(new URL('../../../build/heddle-test.wasm', import.meta.url)));
}

/** A `Datapath` over an arena that was made with the test module. */
export class TestDatapath extends Datapath {
  declare readonly exports: Datapath['exports'] & StructureExports;

  constructor(arena: Arena, thread: number) {
    super(arena, thread);
  }
}
