/** A thread of bench `forward`: joins the prepared arena, and forwards for as long as it is told to. */
import { Datapath } from '../datapath.ts';
import { Forwarder } from '../thread/forwarder.ts';
import { serve } from './crew.ts';
import type { MeasureReply, MeasureRequest, WorkerData } from './forward.ts';
import { MemoryPort } from './memory-port.ts';

/** Rounds between two looks at the clock: about 0.1 ms. */
const ROUNDS = 64;

serve(({ arena, thread, area }: WorkerData) => {
  const datapath = new Datapath(arena, thread);
  const forwarder = new Forwarder(datapath);
  forwarder.attach(thread + 1, new MemoryPort(datapath, thread + 1, area));

  return ({ forMs }: MeasureRequest): MeasureReply => {
    const startMs = performance.now();
    let nowMs = startMs;
    let packets = 0;
    while (nowMs - startMs < forMs) {
      for (let i = 0; i < ROUNDS; i++) packets += forwarder.round();
      nowMs = performance.now();
    }
    datapath.exports.leave();
    return { packets, elapsedMs: nowMs - startMs };
  };
});
