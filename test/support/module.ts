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
  enter(): void;
  advance(): void;
  findInMap(map: number, hash: number): number;
  findNextInMap(): number;
  formatMap(map: number, buckets: number): void;
  insertInMap(map: number, hash: number, number: number): number;
  removeFromMap(map: number, hash: number, number: number): number;
  formatQueue(queue: number, links: number, stride: number): void;
  push(queue: number, number: number): void;
  pop(queue: number): number;
  formatBarrier(barrier: number, members: number): void;
  arrive(barrier: number, thread: number): number;
  leaveBarrier(barrier: number, thread: number): void;
  beginWrite(sequence: number): void;
  endWrite(sequence: number): void;
  beginRead(sequence: number): number;
  copyOut(to: number, payload: number, bytes: number): void;
  isWhole(sequence: number, begun: number): number;
  tallyAt(tallies: number, perThread: number, thread: number, which: number): number;
  add(tally: number, n: bigint): void;
  sumOf(tallies: number, perThread: number, threads: number, which: number): bigint;
  ringDoorbell(thread: number): void;

  auditStations(): number;
  retainName(kind: number, number: number): boolean;
  releaseName(kind: number, number: number): void;
  forgetKeepers(): void;

  // Handlers
  passToHandler(frame: number, strand: number): number;
  takePassed(from: number): number;
  sharesBetween(from: number, handler: number): number;
  sharesWaiting(thread: number): number;
  shareOf(shares: number, port: number): number;

  // Connections
  timeoutOf(zone: number, which: number): number;
  connectionAt(number: number): number;
  noteEvent(connection: number, kind: number, reason: number): void;

  // Flows
  hashKey(key: number): number;
  strandOf(key: number): number;
  chooseHandler(strand: number): number;
  moveLife(life: number, to: number, place: number): number;
  classify(key: number): number;
  cached(key: number, hash: number): number;
  remember(hash: number, flow: number): void;
  execute(frame: number, program: number, key: number): void;

  // Connections
  splice(frame: number, from: number, to: number, bytes: number, length: number): number;
  extract(frame: number, zone: number, tuple: number): number;
  track(frame: number, request: number, label: number, nat: number): void;
  forgetTracking(frame: number): void;
  letGo(): void;
  reverseTuple(to: number, from: number): void;
  ownSegment(): number;
  beginConnection(connection: number, segment: number): number;
  advanceConnection(connection: number, direction: number, segment: number): number;
  takeConnection(): number;
  chooseTranslation(number: number, request: number): number;
  publish(number: number): number;
  translate(frame: number, connection: number, direction: number): number;
  translateError(frame: number, connection: number, direction: number): number;
  // Connections: by number; a tuple is an address; a handle is number << 1 | direction
  hashTuple(tuple: number): number;
  lookUp(tuple: number, hash: number): number;
  admit(connection: number): number;
  reserve(connection: number): number;
  abandon(connection: number): void;
  removeConnection(connection: number, generation: number, reason: number): number;
  expireAt(connection: number, expiresMs: number): void;

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
