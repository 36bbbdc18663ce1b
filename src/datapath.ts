/**
 * The one typed door to the packet path. A `Datapath` is one thread's instance of the module over the
 * shared arena; everything else in `src/` reaches the arena through it.
 *
 * Addresses and sizes are in bytes of the arena; times in milliseconds of the switch clock.
 */
import { readFileSync } from 'node:fs';
import { type Arena, regionAddress } from './arena.ts';
import type { Exports } from './exports.ts';
import {
  ABOUT_EFFECTS,
  About,
  ASLEEP_IN_POLL,
  ASLEEP_IN_WAIT,
  AWAKE,
  BATCH_FRAMES,
  BATCH_KEYS,
  BATCH_PUNTS,
  BATCH_SCRATCH,
  BATCH_STRIDE,
  BODY_KEY,
  BODY_STRIDE,
  CONNECTION_STRIDE,
  COUNT_SLEEPS,
  COUNT_WAKE_UPS,
  ConnectionPage,
  DUE_STRIDE,
  DUMP_LIST,
  Due,
  Dump,
  EVENT_CONNECTION,
  EVENT_STRIDE,
  EXPECTATION_COPY_SIZE,
  FILTER_SIZE,
  FLOW_KEY,
  FLOW_KEY_SIZE,
  FLOW_STRIDE,
  Flow,
  FRAME_RECORD,
  Frame,
  HALTED,
  KEY_SIZE,
  Key,
  LIFE_STRIDE,
  Life,
  MAIL_HALT,
  MAIL_MESSAGE,
  MOST_DUMPED,
  MOST_EFFECTS,
  NAME_BYTES_MOST,
  NONE,
  PAGE_RECORDS,
  PORT_COUNTERS_STRIDE,
  PORT_STRIDE,
  PortCounters,
  PortRecord,
  PROGRAM_WORDS,
  STAGE_ACT,
  STAGE_LOOK_UP,
  STAGE_PARSE,
  STAGES_STRIDE,
  StageTime,
  SUBTABLE_MASK,
  SUBTABLE_STRIDE,
  THREAD_READY_PORTS,
  THREAD_STRIDE,
  Thread,
  TRANSMIT_STRIDE,
} from './generated/layout.ts';
import { type DueFlow, type DumpAnswer, type DumpOrders, type FlowAbout, NOTHING_ABOUT } from './lives.ts';

export * from './arena.ts';
export * from './fragments.ts';
export * from './generated/layout.ts';
export * from './lives.ts';
export * from './meters.ts';
export * from './observe.ts';
export * from './outside.ts';
export * from './revalidation.ts';

/** A frame for the controller. */
export interface Punt {
  /** What OP_CONTROLLER said. */
  index: number;
  inPort: number;
  /** Bytes of the frame before OP_TRUNCATE cut it. */
  originalLength: number;
  bytes: Uint8Array;
}

/** Compiles the module. It is compiled once and shared with the threads. */
export function loadModule(): WebAssembly.Module {
  return new WebAssembly.Module(readFileSync(new URL('../../build/heddle.wasm', import.meta.url)));
}

export class Datapath {
  readonly thread: number;
  readonly arena: Arena;
  readonly exports: Exports;
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  readonly i32: Int32Array;
  readonly f64: Float64Array;
  readonly u64: BigUint64Array;
  readonly #f32: Float32Array;
  /** The switch clock of this thread: one element. */
  readonly now: Float64Array;
  readonly #self: number;
  readonly #batch: number;
  readonly #stages: number;
  readonly #frames: number;
  readonly #flows: number;
  readonly #flowBodies: number;
  readonly #lives: number;
  readonly #subtables: number;
  readonly #transmitQueues: number;
  readonly #portCounters: number;
  readonly #ports: number;
  readonly #nameBuffer: number;

  /** Joins the arena as thread number `thread`, which no other instance may be. */
  constructor(arena: Arena, thread: number) {
    this.arena = arena;
    this.thread = thread;
    const { buffer } = arena.memory;
    this.u8 = new Uint8Array(buffer);
    this.u16 = new Uint16Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.f64 = new Float64Array(buffer);
    this.u64 = new BigUint64Array(buffer);
    this.#f32 = new Float32Array(buffer);
    const instance = new WebAssembly.Instance(arena.module, {
      env: { memory: arena.memory },
      stage: { now: () => performance.now() },
    });
    this.exports = instance.exports as unknown as Exports;
    this.exports.attach(thread);
    this.#self = regionAddress(arena, 'threads') + thread * THREAD_STRIDE;
    this.now = new Float64Array(buffer, this.#self + Thread.nowMs, 1);
    this.#batch = regionAddress(arena, 'batches') + thread * BATCH_STRIDE;
    this.#stages = regionAddress(arena, 'stages') + thread * STAGES_STRIDE;
    this.#frames = regionAddress(arena, 'frameRecords');
    this.#flows = regionAddress(arena, 'flows');
    this.#flowBodies = regionAddress(arena, 'flowBodies');
    this.#lives = regionAddress(arena, 'lives');
    this.#subtables = regionAddress(arena, 'subtables');
    const row = thread * arena.limits.ports;
    this.#transmitQueues = regionAddress(arena, 'transmitQueues') + row * TRANSMIT_STRIDE;
    this.#portCounters = regionAddress(arena, 'portCounters') + row * PORT_COUNTERS_STRIDE;
    this.#ports = regionAddress(arena, 'ports');
    this.#nameBuffer = regionAddress(arena, 'nameBuffers') + thread * NAME_BYTES_MOST;
  }

  /** The switch clock as last set. In what every round does read `now` instead: a call that returns it costs memory. */
  get nowMs(): number {
    return this.now[0]!;
  }

  /** Sets the switch clock for what this thread does next. */
  setClock(nowMs: number): void {
    this.now[0] = nowMs;
  }

  // Measuring

  /** Whether the module times what it does from here on. */
  set timing(on: boolean) {
    this.u32[(this.#self + Thread.timing) >> 2] = on ? 1 : 0;
  }

  /** Notes that `stage` took `ms` for `packets`. */
  noteStage(stage: number, packets: number, ms: number): void {
    const at = (this.#stages + stage * StageTime.size) >> 3;
    this.f64[at + (StageTime.packets >> 3)]! += packets;
    this.f64[at + (StageTime.ns >> 3)]! += ms * 1e6;
  }

  /** What the stages inside the module have taken so far. */
  get insideMs(): number {
    return (this.#stageNs(STAGE_PARSE) + this.#stageNs(STAGE_LOOK_UP) + this.#stageNs(STAGE_ACT)) / 1e6;
  }

  #stageNs(stage: number): number {
    return this.f64[(this.#stages + stage * StageTime.size + StageTime.ns) >> 3]!;
  }

  /** Says when this thread started, on the switch clock. */
  noteStart(nowMs: number): void {
    this.f64[(this.#self + Thread.startedMs) >> 3] = nowMs;
    this.noteLoad(0, 0);
  }

  /** Says for how long this thread has had work since it started, and for what share of a recent second. */
  noteLoad(busyMs: number, share: number): void {
    this.f64[(this.#self + Thread.busyMs) >> 3] = busyMs;
    this.#f32[(this.#self + Thread.load) >> 2] = share;
  }

  // Receiving

  /**
   * A free frame for a packet of up to `bytes`, or NONE; where its bytes go: `dataAddress`.
   * It goes into the batch with `receive`, or back with `exports.giveFrame`.
   */
  takeFrame(bytes: number): number {
    return this.exports.takeFrame(bytes) >>> 0;
  }

  /** Arena address of a frame's bytes. */
  dataAddress(frame: number): number {
    return this.u32[(this.frameAt(frame) + Frame.data) >> 2]!;
  }

  /** Puts a frame that holds `length` bytes into slot `slot` of this thread's batch, as come in at `port`. */
  receive(slot: number, port: number, frame: number, length: number): void {
    const at = this.frameAt(frame);
    this.u32[(at + Frame.length) >> 2] = length;
    this.u32[(at + Frame.port) >> 2] = port;
    this.u32[(this.#batch + BATCH_FRAMES + 4 * slot) >> 2] = frame;
  }

  /** Makes frames that have been received before this thread's batch again. */
  batchAgain(frames: Uint32Array): void {
    this.u32.set(frames, (this.#batch + BATCH_FRAMES) >> 2);
  }

  /** Counts a frame that could not be received: at the port only, as it never came in. */
  refuse(port: number): void {
    this.u64[(this.#portCounters + port * PORT_COUNTERS_STRIDE + PortCounters.rxErrors) >> 3]!++;
  }

  /** Tells the control side that the kernel refuses to go on with a port, for reason `errno`. */
  reportFailure(port: number, errno: number): void {
    Atomics.store(this.i32, (this.#ports + port * PORT_STRIDE + PortRecord.failure) >> 2, errno);
  }

  // Transmitting

  /** The ports that `flush` left for this thread to transmit: the first so many of a list. */
  readyPort(i: number): number {
    return this.u16[(this.#self + THREAD_READY_PORTS + 2 * i) >> 1]!;
  }

  /** Whether this thread holds frames that did not fit the ring to the thread that sends them. */
  isHeldUp(): boolean {
    return this.u32[(this.#self + Thread.heldPorts) >> 2] !== 0;
  }

  /** Whether flows that this thread has retired are not given back yet. */
  get hasRetired(): boolean {
    return this.u32[(this.#self + Thread.retiredHead) >> 2] !== 0;
  }

  /** Forgets the list of ready ports; each has been transmitted. */
  clearReadyPorts(): void {
    this.u32[(this.#self + Thread.readyPorts) >> 2] = 0;
  }

  /** Address of this thread's transmit queue for `port`: a count, then frame numbers. */
  transmitQueue(port: number): number {
    return this.#transmitQueues + port * TRANSMIT_STRIDE;
  }

  /**
   * Gives `take` the arena address and length of each frame queued for `port`, with every checksum complete
   * and, if `cut`, segments cut into packets, and counts them as sent.
   */
  drainQueue(port: number, cut: boolean, take: (address: number, length: number) => void): void {
    const queue = this.transmitQueue(port);
    const n = this.exports.hostPrepare(port, cut);
    for (let i = 0; i < n; i++) {
      const frame = this.frameAt(this.u32[(queue + 4 + 4 * i) >> 2]!);
      take(this.u32[(frame + Frame.data) >> 2]!, this.u32[(frame + Frame.length) >> 2]!);
    }
    this.exports.hostSent(port);
  }

  /** Drops the frames queued for `port`, which cannot take them. */
  dropQueue(port: number, reason: number): void {
    const queue = this.transmitQueue(port) >> 2;
    const n = this.u32[queue]!;
    for (let i = 0; i < n; i++) this.exports.dropAtPort(this.u32[queue + 1 + i]!, port, reason);
    this.u32[queue] = 0;
  }

  /** Address of a frame's record. */
  frameAt(number: number): number {
    return this.#frames + number * FRAME_RECORD;
  }

  // Sleeping and waking

  /**
   * Announces that this thread, which has left its epoch, is about to sleep in `poll()` on its doorbell; false:
   * there is work after all.
   */
  beginPoll(): boolean {
    this.exports.beginSleep(ASLEEP_IN_POLL);
    if (this.#hasNothing()) return true;
    this.exports.endSleep();
    return false;
  }

  /** Ends a sleep; `woken`: by work, not because its time was over. */
  endSleep(woken: boolean): void {
    if (woken) this.exports.countOne(COUNT_WAKE_UPS);
    this.exports.endSleep();
  }

  /**
   * Sleeps until rung, until `role` has something to do, or for `mostMs`, unless there is work. The thread has left its
   * epoch. What is due is asked for once it has said that it sleeps: whoever makes it due earlier rings.
   */
  wait(role: { dueMs(): number }, mostMs: number): void {
    const rung = this.exports.beginSleep(ASLEEP_IN_WAIT);
    const timeoutMs = Math.min(role.dueMs() - this.nowMs, mostMs);
    const sleeps = timeoutMs > 0 && this.#hasNothing();
    this.endSleep(sleeps && this.exports.sleepUntilRung(rung, timeoutMs) !== 0);
  }

  /** Whether there is nothing to do, in which case that counts as a sleep. */
  #hasNothing(): boolean {
    if (this.exports.hasWork() || this.hasMail()) return false;
    this.exports.countOne(COUNT_SLEEPS);
    return true;
  }

  /** Whether the control side wants something: that its message is read, or that this thread stands still. */
  hasMail(): boolean {
    return Atomics.load(this.i32, (this.#self + Thread.mail) >> 2) !== 0;
  }

  /**
   * Stands still for as long as the control side wants it. Nothing is in hand. Who has said that it is awake again
   * looks once more: the control side may have wanted it to stand still anew, and found that it does.
   */
  halt(): void {
    const [mail, sleeping] = [(this.#self + Thread.mail) >> 2, (this.#self + Thread.sleeping) >> 2];
    do {
      for (let is = Atomics.load(this.i32, mail); is & MAIL_HALT; is = Atomics.load(this.i32, mail)) {
        Atomics.store(this.i32, sleeping, HALTED);
        Atomics.notify(this.i32, sleeping);
        Atomics.wait(this.i32, mail, is);
      }
      Atomics.store(this.i32, sleeping, AWAKE);
    } while (Atomics.load(this.i32, mail) & MAIL_HALT);
  }

  /** Notes that the message is being read; do so before reading it. */
  takeMail(): void {
    Atomics.and(this.i32, (this.#self + Thread.mail) >> 2, ~MAIL_MESSAGE);
  }

  /** Threads that sleep in `poll()` and that this thread has given work since the last call, bit by number. */
  takeWakeMask(): number {
    const at = (this.#self + Thread.wakeMask) >> 2;
    const mask = this.u32[at]!;
    if (mask !== 0) this.u32[at] = 0;
    return mask;
  }

  // The handler

  /** Punt `i` of this thread's batch; its bytes are there until `exports.endPunt(i, …)`. */
  punt(i: number): Punt {
    const number = this.u32[(this.#batch + BATCH_PUNTS + 4 * i) >> 2]!;
    const frame = this.frameAt(number) >> 2;
    const data = this.u32[frame + (Frame.data >> 2)]!;
    return {
      index: this.u32[frame + (Frame.punt >> 2)]!,
      inPort: this.u32[frame + (Frame.port >> 2)]!,
      originalLength: this.u32[frame + (Frame.puntLength >> 2)]!,
      bytes: this.u8.subarray(data, data + this.u32[frame + (Frame.length >> 2)]!),
    };
  }

  /** The key of punt `i`, good until the next call; undefined when the frame is malformed. */
  puntKey(i: number): Uint8Array | undefined {
    const scratch = this.#batch + BATCH_SCRATCH;
    return this.exports.parsePunt(i) ? this.u8.subarray(scratch, scratch + KEY_SIZE) : undefined;
  }

  /** The bytes of the key of miss or frame `i` of this thread's batch. */
  key(i: number): Uint8Array {
    const at = this.#batch + BATCH_KEYS + KEY_SIZE * i;
    return this.u8.subarray(at, at + KEY_SIZE);
  }

  /** What tracking has told of frame `i` of this thread's batch: bits of ct_state. */
  ctState(i: number): number {
    return this.u8[this.#frameInBatch(i) + Key.ctState]!;
  }

  /** Bytes of frame `i` of this thread's batch. */
  lengthInBatch(i: number): number {
    return this.u32[(this.#frameInBatch(i) + Frame.length) >> 2]!;
  }

  #frameInBatch(i: number): number {
    return this.frameAt(this.u32[(this.#batch + BATCH_FRAMES + 4 * i) >> 2]!);
  }

  /**
   * Installs a flow, made for the packet with `key`. Returns its number, or that of the live one that was there
   * (`installedNew` tells); or NONE when it cannot be now.
   */
  install(mask: Uint8Array, key: Uint8Array, program: Uint32Array, about: FlowAbout = NOTHING_ABOUT): number {
    const scratch = this.#batch + BATCH_SCRATCH;
    this.u8.set(mask, scratch);
    this.u8.set(key, scratch + KEY_SIZE);
    this.#putProgram(program);
    this.#putAbout(about);
    return this.exports.install(scratch, scratch + KEY_SIZE, this.#program, this.#about) >>> 0;
  }

  /** Whether the last `install` of this thread made a flow. */
  get installedNew(): boolean {
    return this.u32[(this.#about + About.isNew) >> 2] !== 0;
  }

  /**
   * Gives a live flow another program, so that look-ups find it or its successor at any time. Returns the
   * flow's number: a successor has another, and counters that start at zero. NONE: there was no room for it, and
   * all is as it was.
   */
  replace(flow: number, program: Uint32Array): number {
    return this.renewFlow(flow, this.serial(flow), program, NOTHING_ABOUT);
  }

  /**
   * The same for a flow in the life `serial`, that was translated again; it stays, with its number, if its program is
   * that. NONE also when that life is over, or another thread is about the flow.
   */
  renewFlow(flow: number, serial: number, program: Uint32Array, about: FlowAbout): number {
    this.#putProgram(program);
    this.#putAbout(about);
    return this.exports.renewFlow(flow, serial, this.#program, this.#about) >>> 0;
  }

  /** Goes over up to `budget` flows of this revalidator's share, from number `from` on; where to go on, or NONE. */
  dumpStep(orders: DumpOrders, from: number, budget = MOST_DUMPED): DumpAnswer {
    this.#putOrders(orders);
    return this.#answer(this.exports.dumpStep(from, Math.min(budget, MOST_DUMPED)));
  }

  /** The same after the dump, for what was evicted and what the dump did not come by. */
  sweepStep(orders: DumpOrders, from: number, budget = MOST_DUMPED): DumpAnswer {
    this.#putOrders(orders);
    return this.#answer(this.exports.sweepStep(from, Math.min(budget, MOST_DUMPED)));
  }

  #answer(next: number): DumpAnswer {
    const seen = this.u32[(this.#batch + BATCH_SCRATCH + Dump.seen) >> 2]!;
    return { due: this.#due(), seen, next: next >>> 0 };
  }

  #putOrders(orders: DumpOrders): void {
    const dump = this.#batch + BATCH_SCRATCH;
    this.u32[(dump + Dump.revalidators) >> 2] = orders.revalidators;
    this.u32[(dump + Dump.index) >> 2] = orders.index;
    this.u32[(dump + Dump.version) >> 2] = orders.version;
    this.u32[(dump + Dump.learned) >> 2] = orders.learned;
    this.u32[(dump + Dump.killsAll) >> 2] = orders.killsAll ? 1 : 0;
    this.u32[(dump + Dump.purges) >> 2] = orders.purges ? 1 : 0;
    this.u32[(dump + Dump.minPacketsPerSecond) >> 2] = orders.minPacketsPerSecond;
    this.f64[(dump + Dump.maxIdleMs) >> 3] = orders.maxIdleMs;
    this.f64[(dump + Dump.lastDumpMs) >> 3] = orders.lastDumpMs;
    this.f64[(dump + Dump.maxDumpMs) >> 3] = orders.maxDumpMs;
  }

  /** The flows that the last step listed. */
  #due(): DueFlow[] {
    const dump = this.#batch + BATCH_SCRATCH;
    const count = this.u32[(dump + Dump.due) >> 2]!;
    const due: DueFlow[] = [];
    for (let i = 0; i < count; i++) {
      const at = (dump + DUMP_LIST + i * DUE_STRIDE) >> 2;
      due.push({
        flow: this.u32[at + (Due.flow >> 2)]!,
        serial: this.u32[at + (Due.serial >> 2)]!,
        why: this.u32[at + (Due.why >> 2)]!,
      });
    }
    return due;
  }

  /** Runs a program on miss `i` that no flow holds. */
  actByProgram(i: number, program: Uint32Array): void {
    this.#putProgram(program);
    this.exports.actByProgram(i);
  }

  #putProgram(program: Uint32Array): void {
    if (program.length > PROGRAM_WORDS) {
      throw new RangeError(`program of ${program.length} words; at most ${PROGRAM_WORDS}`);
    }
    this.u32.set(program, this.#program >> 2);
  }

  #putAbout({ version, learned, flags, effects }: FlowAbout): void {
    if (effects.length > MOST_EFFECTS) {
      throw new RangeError(`${effects.length} words of effects; at most ${MOST_EFFECTS}`);
    }
    this.u32[(this.#about + About.version) >> 2] = version;
    this.u32[(this.#about + About.learned) >> 2] = learned;
    this.u32[(this.#about + About.flags) >> 2] = flags;
    this.u32[(this.#about + About.effects) >> 2] = effects.length;
    this.u32.set(effects, (this.#about + ABOUT_EFFECTS) >> 2);
  }

  /** Where the module finds a program, and what else there is to say of a flow. */
  get #program(): number {
    return this.#batch + BATCH_SCRATCH + 2 * KEY_SIZE;
  }

  get #about(): number {
    return this.#program + 4 * PROGRAM_WORDS;
  }

  // Names

  /** The number of a name of this kind (NAME_…), the same for equal bytes; NONE when there is no room for it. */
  internName(kind: number, name: Uint8Array): number {
    if (name.length > NAME_BYTES_MOST) return NONE;
    this.u8.set(name, this.#nameBuffer);
    return this.exports.internName(kind, this.#nameBuffer, name.length) >>> 0;
  }

  /** The same, if it has one; nothing becomes of it. */
  findName(kind: number, name: Uint8Array): number {
    if (name.length > NAME_BYTES_MOST) return NONE;
    this.u8.set(name, this.#nameBuffer);
    return this.exports.findName(kind, this.#nameBuffer, name.length) >>> 0;
  }

  /** The bytes that a number was given for, good until the next call; undefined when it names nothing. */
  readName(kind: number, number: number): Uint8Array | undefined {
    const length = this.exports.readName(kind, number, this.#nameBuffer) >>> 0;
    if (length === NONE) return undefined;
    return this.u8.subarray(this.#nameBuffer, this.#nameBuffer + length);
  }

  // Connections

  /**
   * Records of the connections that pass `filter`, of up to `budget` numbers from `from` on, good until the next
   * call; and where to go on, or NONE.
   */
  listConnections(from: number, budget: number, filter: Uint8Array): { records: Uint8Array; next: number } {
    const [at, page] = this.#putFilter(filter);
    const next = this.exports.listConnections(from, budget, at, page) >>> 0;
    const count = this.u32[(page + ConnectionPage.count) >> 2]!;
    const first = page + PAGE_RECORDS;
    return { records: this.u8.subarray(first, first + count * CONNECTION_STRIDE), next };
  }

  /** Removes them instead. */
  flushConnections(from: number, budget: number, filter: Uint8Array): { count: number; next: number } {
    const [at, page] = this.#putFilter(filter);
    const next = this.exports.flushConnections(from, budget, at, page) >>> 0;
    return { count: this.u32[(page + ConnectionPage.count) >> 2]!, next };
  }

  /** A copy of the first expectation from slot `from` on, and its slot; undefined: there is none. */
  nextExpectation(from: number): { copy: Uint8Array; slot: number } | undefined {
    const scratch = this.#batch + BATCH_SCRATCH;
    const slot = this.exports.nextExpectation(from, scratch) >>> 0;
    return slot === NONE
      ? undefined
      : { copy: this.u8.slice(scratch, scratch + EXPECTATION_COPY_SIZE), slot };
  }

  /** The event of a connection that happened first, until `exports.endEvent`; undefined: none waits. */
  nextEvent(): Uint8Array | undefined {
    const at = this.exports.nextEvent();
    return at === 0 ? undefined : this.u8.subarray(at, at + EVENT_STRIDE);
  }

  /** Whether the connection of an event passes `filter`. */
  passes(event: Uint8Array, filter: Uint8Array): boolean {
    const [at] = this.#putFilter(filter);
    return Boolean(this.exports.passes(event.byteOffset + EVENT_CONNECTION, at));
  }

  /** Where the module finds a filter, and puts what passes it. */
  #putFilter(filter: Uint8Array): [filter: number, page: number] {
    const scratch = this.#batch + BATCH_SCRATCH;
    this.u8.set(filter, scratch);
    return [scratch, scratch + FILTER_SIZE];
  }

  // Flows

  /** Whether packets take a flow. */
  isLive(flow: number): boolean {
    return (Atomics.load(this.i32, (this.#flows + flow * FLOW_STRIDE + Flow.generation) >> 2) & 1) !== 0;
  }

  /** The program of a flow, good until the next call that takes or gives one. */
  program(flow: number): Uint32Array {
    const words = this.exports.readProgram(flow, this.#program);
    return this.u32.subarray(this.#program >> 2, (this.#program >> 2) + words);
  }

  /** Which life of a flow's number this is. */
  serial(flow: number): number {
    return this.u32[(this.#lives + flow * LIFE_STRIDE + Life.serial) >> 2]!;
  }

  /** A copy of a flow's key, masked. */
  flowKey(flow: number): Uint8Array {
    const key = new Uint8Array(KEY_SIZE);
    const start = this.#flows + flow * FLOW_STRIDE + FLOW_KEY;
    const rest = this.#flowBodies + flow * BODY_STRIDE + BODY_KEY;
    key.set(this.u8.subarray(start, start + FLOW_KEY_SIZE));
    key.set(this.u8.subarray(rest, rest + KEY_SIZE - FLOW_KEY_SIZE), FLOW_KEY_SIZE);
    return key;
  }

  /** The mask of a live flow. */
  flowMask(flow: number): Uint8Array {
    const at = this.#maskOf(flow);
    return this.u8.subarray(at, at + KEY_SIZE);
  }

  /** Whether a mask has no bits that the mask of a live flow has not. */
  isWithinMask(flow: number, mask: Uint8Array): boolean {
    const at = this.#maskOf(flow);
    for (let i = 0; i < KEY_SIZE; i++) if (mask[i]! & ~this.u8[at + i]!) return false;
    return true;
  }

  #maskOf(flow: number): number {
    const subtable = this.u32[(this.#flows + flow * FLOW_STRIDE + Flow.subtable) >> 2]!;
    return this.#subtables + subtable * SUBTABLE_STRIDE + SUBTABLE_MASK;
  }
}
