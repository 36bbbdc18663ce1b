/**
 * What the benches of connection tracking share: an arena with room for connections, and prepared frames. A frame
 * is written, parsed and its transport checksum marked as good once; then it is tracked again and again.
 */
import {
  type Arena,
  BATCH,
  CHECKSUM_GOOD,
  createArena,
  type Datapath,
  Frame,
  loadModule,
  NONE,
  POOL_CACHE,
} from '../datapath.ts';

/** Where a frame of a bench says that it came in: nothing comes of it. */
const PORT = 1;

/** An arena for `threads` threads that track, and one that sweeps. */
export function trackingArena(threads: number, connections: number): Arena {
  const least = 2 * POOL_CACHE * (threads + 1);
  const limits = {
    threads: threads + 1,
    ports: PORT + 1,
    queues: 1,
    flows: least,
    rules: 0,
    frames: 4 * least,
    largeFrames: 0,
    macs: 16,
    connections,
  };
  return createArena(loadModule(), limits, 1);
}

/** Makes the thread's batch `n` prepared frames with a packet of these bytes. Returns their numbers. */
export function prepare(datapath: Datapath, packet: Uint8Array, n: number = BATCH): Uint32Array {
  const frames = new Uint32Array(n);
  for (let i = 0; i < n; i++) {
    const frame = datapath.takeFrame(packet.length);
    if (frame === NONE) throw new Error(`found ${i} free frames, expected ${n}`);
    datapath.u8.set(packet, datapath.dataAddress(frame));
    datapath.receive(i, PORT, frame, packet.length);
    frames[i] = frame;
  }
  datapath.exports.parseBatch(n);
  for (const frame of frames) datapath.u8[datapath.frameAt(frame) + Frame.checksum] = CHECKSUM_GOOD;
  return frames;
}
