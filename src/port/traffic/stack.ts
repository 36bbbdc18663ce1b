/** What the parts of the simulation share: one for each traffic port. */
import type { LocalHosts } from './addresses.ts';
import type { ConnectionTable } from './connections.ts';
import type { Outbox } from './outbox.ts';
import type { Random } from './random.ts';
import type { FrameReader } from './reader.ts';
import type { Statistics } from './statistics.ts';
import type { ByteStream } from './stream.ts';
import type { Timers } from './timers.ts';
import type { Route } from './writer.ts';

export interface Stack {
  readonly hosts: LocalHosts;
  readonly random: Random;
  readonly timers: Timers;
  readonly outbox: Outbox;
  readonly connections: ConnectionTable;
  readonly statistics: Statistics;
  /** What the TCP server answers to every request. */
  readonly response: ByteStream;
}

/**
 * The way back to where a packet came from, without asking for the hardware address. The addresses are the
 * frame's own: copy them into what outlives the frame.
 */
export const routeBack = (frame: FrameReader): Route => ({
  localMac: frame.destinationMac,
  remoteMac: frame.sourceMac,
  local: frame.destination,
  remote: frame.source,
  protocol: frame.protocol,
});
