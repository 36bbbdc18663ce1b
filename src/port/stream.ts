/**
 * Stream port: a virtual machine of QEMU (`-netdev stream`), or anybody who writes frames into a Unix or TCP
 * socket, each behind its length in four bytes, big-endian. Needs no rights, and nothing but Node.js.
 *
 * The socket is the control side's, which has an event loop for it; the thread sees bytes in two rings.
 */
import type { Datapath } from '../datapath.ts';
import type { DriverSpec, Opening, OpenQueue, Port, PortBasics, PortContext, PortType } from './port.ts';
import { parseAddress } from './stream/address.ts';
import { StreamLink } from './stream/link.ts';

/** Exactly one of `listen` and `connect`: the path of a Unix socket or HOST:PORT. */
interface StreamOptions extends PortBasics {
  listen?: string | undefined;
  connect?: string | undefined;
  mtu: number;
}

interface StreamSpec extends DriverSpec {
  /** Arena address of the queue's area. */
  area: number;
}

const HEADER = 14;

export const portType: PortType<StreamOptions, StreamSpec> = {
  open: (options, context) => StreamOpening.open(options, context),
  drive: (datapath, spec) => new StreamPort(datapath, spec),
};

/** Listens, or connects again and again. The link is there while a peer is. */
class StreamOpening implements Opening {
  readonly #options: StreamOptions;
  readonly #context: PortContext;
  readonly #area: number;
  readonly #link: StreamLink;

  private constructor(options: StreamOptions, context: PortContext) {
    this.#options = options;
    this.#context = context;
    [this.#area] = context.areas.take(1) as [number];
    this.#link = new StreamLink(context.arena, this.#area, () => context.ring(options.number));
  }

  static async open(options: StreamOptions, context: PortContext): Promise<StreamOpening> {
    const opening = new StreamOpening(options, context);
    try {
      if (options.listen !== undefined) await opening.#link.listen(parseAddress(options.listen)!);
      else opening.#link.connect(parseAddress(options.connect!)!);
      return opening;
    } catch (error) {
      opening.close();
      throw error;
    }
  }

  openQueue(): OpenQueue {
    const driver: StreamSpec = { type: 'stream', number: this.#options.number, area: this.#area };
    return { driver, close() {} };
  }

  link() {
    const { mtu } = this.#options;
    const { absence } = this.#link;
    return { mtu, maxLength: mtu + HEADER, carrier: absence === '', absence };
  }

  close(): void {
    this.#link.close();
    this.#context.areas.give([this.#area]);
  }
}

class StreamPort implements Port {
  readonly descriptors: readonly number[] = [];
  readonly #datapath: Datapath;
  readonly #spec: StreamSpec;

  constructor(datapath: Datapath, spec: StreamSpec) {
    this.#datapath = datapath;
    this.#spec = spec;
  }

  poll(): number {
    return this.#datapath.exports.streamPoll(this.#spec.number, this.#spec.area);
  }

  transmit(): void {
    this.#datapath.exports.streamTransmit(this.#spec.number, this.#spec.area);
  }

  dueMs(): number {
    return Number.POSITIVE_INFINITY;
  }

  close(): void {}
}
