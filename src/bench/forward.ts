/**
 * Bench `forward`: the packet path alone, from parsing to output, in memory. Each thread has a port whose
 * frames come round again; the flows are those that the handler installs for rules of a table, one for each
 * destination, and all threads look them up in the one classifier.
 */
import {
  type Arena,
  createArena,
  Datapath,
  Frame,
  loadModule,
  MEMORY_SLOTS,
  MemoryQueue,
  NONE,
  Observer,
  PortTable,
  QueueAreas,
} from '../datapath.ts';
import { Forwarder } from '../thread/forwarder.ts';
import { SlowPath } from '../upcall/slow-path.ts';
import { Crew } from './crew.ts';
import { MemoryPort } from './memory-port.ts';

export interface ForwardOptions {
  flows: number;
  /** Bytes of a frame on the wire, its check sequence of 4 counted, which is not in memory. */
  size: number;
  threads: number;
  seconds: number;
  rounds: number;
}

/** One measurement of `threads` threads at once. */
export interface Measured {
  threads: number;
  /** Of all threads together. */
  mpps: number;
  /** Of one thread's time. */
  nsPerPacket: number;
}

/** What a worker is told, and what it answers. */
export interface WorkerData {
  arena: Arena;
  thread: number;
  /** Arena address of its port's area. */
  area: number;
}
export interface MeasureRequest {
  forMs: number;
}
export interface MeasureReply {
  packets: number;
  elapsedMs: number;
}

type ForwardCrew = Crew<WorkerData, MeasureRequest, MeasureReply>;

/** Distinct frames of each thread, and so the most flows. */
export const FRAMES = 4096;
export const SIZES = { least: 64, most: 1518 };
const FCS = 4;
const WARM_UP_MS = 300;

/**
 * Measures one thread and, when there are more, all of them in turn, `rounds` times; `each` gets every
 * round's figures as they come. Throws when a packet was dropped or missed its flow.
 */
export async function benchForward(
  options: ForwardOptions,
  each: (round: Measured[]) => Promise<void>,
): Promise<void> {
  const { arena, areas } = prepare(options);
  const observer = new Observer(arena);
  const { upcalls } = observer.totals();
  const data = areas.map((area, thread) => ({ arena, thread, area }));
  const crew: ForwardCrew = new Crew(new URL('./forward-worker.js', import.meta.url), data);
  const counts = [...new Set([1, options.threads])];
  try {
    for (const threads of counts) await measure(crew, threads, WARM_UP_MS);
    for (let round = 0; round < options.rounds; round++) {
      const measured: Measured[] = [];
      for (const threads of counts) measured.push(await measure(crew, threads, options.seconds * 1000));
      await each(measured);
    }
  } finally {
    await crew.end();
  }
  const after = observer.totals();
  const dropped = JSON.stringify(after.dropped);
  if (dropped !== '{}') throw new Error(`found packets dropped (${dropped}), expected all to go round`);
  if (after.upcalls !== upcalls) throw new Error('found packets without a flow, expected all to have one');
}

/** Lets the first `threads` workers forward for `forMs`. */
async function measure(crew: ForwardCrew, threads: number, forMs: number): Promise<Measured> {
  const replies = await crew.measure(threads, { forMs });
  const perMs = replies.reduce((sum, { packets, elapsedMs }) => sum + packets / elapsedMs, 0);
  const mpps = perMs / 1000;
  return { threads, mpps, nsPerPacket: (threads * 1000) / mpps };
}

/** An arena in which every frame is in its thread's port and has found its flow. No thread has started. */
function prepare({ flows, size, threads }: ForwardOptions): { arena: Arena; areas: number[] } {
  const limits = {
    threads: threads + 1,
    ports: threads + 1,
    queues: threads,
    flows: Math.max(threads * flows, 256 * (threads + 1)),
    rules: flows,
    frames: FRAMES * (threads + 1),
    largeFrames: 0,
    macs: 16,
    connections: 0,
  };
  const arena = createArena(loadModule(), limits, 1);
  const slow = new SlowPath(new Datapath(arena, threads), {
    ports: Array.from({ length: threads }, (_, i) => ({ number: i + 1, name: `memory${i + 1}`, up: true })),
    flows: Array.from(
      { length: flows },
      (_, i) => `priority=10,ip,nw_dst=${address(i)},actions=IN_PORT`,
    ).join('\n'),
    rules: { rules: flows, tables: {} },
    macAgeingMs: 300_000,
  });
  const table = new PortTable(arena);
  const areas = new QueueAreas(arena).take(threads);
  for (let thread = 0; thread < threads; thread++) {
    const port = thread + 1;
    const datapath = new Datapath(arena, thread);
    const area = areas[thread]!;
    table.open(port, thread, size);
    fill(datapath, port, area, flows, size - FCS);
    goRound(datapath, port, area, slow);
  }
  return { arena, areas };
}

/** Puts FRAMES frames into the queue of a memory port. */
function fill(datapath: Datapath, port: number, queue: number, flows: number, length: number): void {
  for (let i = 0; i < FRAMES; i++) {
    const frame = datapath.takeFrame(length);
    if (frame === NONE) throw new Error(`found ${i} free frames, expected ${FRAMES}`);
    datapath.u8.set(udpFrame(port, i, i % flows, length), datapath.dataAddress(frame));
    datapath.u32[(datapath.frameAt(frame) + Frame.length) >> 2] = length;
    datapath.u32[(queue + MemoryQueue.size + 4 * i) >> 2] = frame;
  }
  datapath.u32[(queue + MemoryQueue.head) >> 2] = FRAMES % MEMORY_SLOTS;
}

/** Moves every frame round, on this thread, until all have their flow. */
function goRound(datapath: Datapath, port: number, area: number, slow: SlowPath): void {
  const forwarder = new Forwarder(datapath);
  forwarder.attach(port, new MemoryPort(datapath, port, area));
  for (let moved = 0; moved < 4 * FRAMES; moved += forwarder.round()) while (slow.round(0) > 0);
  datapath.exports.leave();
}

/** Destination `i`: 10.0.0.0 and up. */
function address(i: number): string {
  return `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`;
}

/** Frame `i` of a port: UDP over IPv4 to destination `flow`, from a host and a port of its own. */
function udpFrame(port: number, i: number, flow: number, length: number): Uint8Array {
  const frame = Buffer.alloc(length);
  frame.write('020000000001', 0, 'hex');
  frame.write('020000000002', 6, 'hex');
  frame.writeUInt16BE(0x0800, 12);
  frame.writeUInt16BE(0x4500, 14);
  frame.writeUInt16BE(length - 14, 16);
  frame.writeUInt16BE(0x4011, 22); // TTL 64, UDP
  frame.writeUInt32BE(0x0b000000 + (port << 16) + i, 26);
  frame.writeUInt32BE(0x0a000000 + flow, 30);
  frame.writeUInt16BE(1024 + i, 34);
  frame.writeUInt16BE(7, 36);
  frame.writeUInt16BE(length - 34, 38);
  return frame;
}
