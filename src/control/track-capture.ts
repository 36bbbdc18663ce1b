/**
 * What connection tracking says of the packets of a capture: each is tracked in zone 0 and its connection committed,
 * by a clock that stands still, whatever times the capture has. So no connection's time is ever over.
 */
import {
  BATCH,
  CT_COMMIT,
  createArena,
  Datapath,
  loadModule,
  MAX_LENGTH,
  NONE,
  POOL_CACHE,
} from '../datapath.ts';
import { CaptureReader } from '../port/capture/reader.ts';

/** Packets that can be tracked at a time. */
export const BATCH_MOST = BATCH;

const THREADS = 1;
const LIMITS = {
  threads: THREADS,
  ports: 2,
  queues: 1,
  flows: 2 * POOL_CACHE * THREADS,
  rules: 0,
  frames: 2 * POOL_CACHE * THREADS,
  largeFrames: 2 * POOL_CACHE * THREADS,
  macs: 0,
  connections: 1_000_000,
};
const HASH_SEED = 1;
const PORT = 1;
const ZONE = 0;

/**
 * The bits of ct_state of each packet in turn, tracked `batch` at a time.
 * @throws CaptureError as far as the capture can be read no further.
 */
export function* trackCapture(path: string, batch: number): Generator<number> {
  const reader = CaptureReader.open(path);
  try {
    const datapath = new Datapath(createArena(loadModule(), LIMITS, HASH_SEED), 0);
    for (let frames = receive(datapath, reader, batch); frames.length > 0; ) {
      datapath.exports.parseBatch(frames.length);
      datapath.exports.trackBatch(frames.length, ZONE, CT_COMMIT);
      for (const i of frames.keys()) yield datapath.ctState(i);
      for (const frame of frames) datapath.exports.giveFrame(frame);
      frames = receive(datapath, reader, batch);
    }
  } finally {
    reader.close();
  }
}

/** Puts up to `n` of the capture's frames into the batch. Returns their numbers. */
function receive(datapath: Datapath, reader: CaptureReader, n: number): number[] {
  const frames: number[] = [];
  while (frames.length < n && reader.next()) {
    const { buffer, offset, length } = reader;
    const frame = datapath.takeFrame(length);
    if (frame === NONE) {
      throw new Error(`frame ${reader.frame}: found ${length} bytes, expected at most ${MAX_LENGTH}`);
    }
    datapath.u8.set(buffer.subarray(offset, offset + length), datapath.dataAddress(frame));
    datapath.receive(frames.length, PORT, frame, length);
    frames.push(frame);
  }
  return frames;
}
