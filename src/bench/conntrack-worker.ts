/** A thread of bench `conntrack`: prepares its batch, and tracks it as often as it is told to. */
import { CT_COMMIT, Datapath } from '../datapath.ts';
import type { MeasureRequest, WorkerData } from './conntrack.ts';
import { serve } from './crew.ts';
import { prepare } from './tracking.ts';

/** As in tests/test-conntrack.c: UDP from 10.1.1.1 port 1 to 10.1.1.2 port 2, without data, checksum or time to live. */
const PACKET =
  '50540000000a5054000000090800' + '4500001c000000000011a4cd0a0101010a010102' + '0001000200080000';
const UDP_SOURCE = 34;
const UDP_DESTINATION = 36;
const ZONE = 0;

serve(({ arena, thread, batch, change }: WorkerData) => {
  const packet = Buffer.from(PACKET, 'hex');
  packet.writeUInt16BE(1 + thread, UDP_SOURCE);
  packet.writeUInt16BE(2 + change, UDP_DESTINATION);
  const datapath = new Datapath(arena, thread);
  prepare(datapath, packet, batch);
  const { exports } = datapath;

  return ({ packets }: MeasureRequest): number => {
    const startMs = performance.now();
    for (let i = 0; i < packets; i += batch) exports.trackBatch(batch, ZONE, CT_COMMIT);
    const elapsedMs = performance.now() - startMs;
    exports.leave();
    return elapsedMs;
  };
});
