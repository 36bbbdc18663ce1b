/**
 * Stream port: a virtual machine of QEMU (`-netdev stream`), or anybody who writes frames into a Unix or TCP
 * socket, each behind its length in four bytes, big-endian. Needs no rights, and nothing but Node.js.
 *
 * The socket is the control side's, which has an event loop for it; the thread sees bytes in two rings.
 */
import { type Arena, type Datapath, queueAddress } from '../datapath.ts';
import type { OpenPort, Port, StreamOptions } from './port.ts';
import { parseAddress } from './stream/address.ts';
import { type LinkEvents, StreamLink } from './stream/link.ts';

const HEADER = 14;

/** Listens, or begins to connect; the port has no link until there is a peer. */
export async function openStream(
  number: number,
  options: StreamOptions,
  arena: Arena,
  events: LinkEvents,
): Promise<OpenPort> {
  const link = new StreamLink(arena, queueAddress(arena, number), events);
  try {
    if (options.listen !== undefined) await link.listen(parseAddress(options.listen)!);
    else link.connect(parseAddress(options.connect!)!);
  } catch (error) {
    link.close();
    throw error;
  }
  return {
    driver: { type: 'stream', number },
    mtu: options.mtu,
    maxLength: options.mtu + HEADER,
    close: () => link.close(),
  };
}

/** The thread's side. */
export class StreamPort implements Port {
  readonly descriptors: readonly number[] = [];
  readonly #datapath: Datapath;
  readonly #number: number;

  constructor(datapath: Datapath, number: number) {
    this.#datapath = datapath;
    this.#number = number;
  }

  poll(): number {
    return this.#datapath.exports.streamPoll(this.#number);
  }

  transmit(): void {
    this.#datapath.exports.streamTransmit(this.#number);
  }

  dueMs(): number {
    return Number.POSITIVE_INFINITY;
  }

  close(): void {}
}
