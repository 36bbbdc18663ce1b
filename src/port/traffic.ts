/** Traffic port: simulated hosts on one end, the datapath on the other; they read and write its frames. */
import { BATCH, type Datapath, MAX_LENGTH, NONE } from '../datapath.ts';
import type { DriverSpec, Port, PortBasics, PortType } from './port.ts';
import { Hosts, MAX_FRAME_BYTES, type TrafficOptions } from './traffic/hosts.ts';

const MTU = 1500;

interface TrafficSpec extends DriverSpec {
  traffic: TrafficOptions;
}

export const portType: PortType<PortBasics & { traffic: TrafficOptions }, TrafficSpec> = {
  open({ number, traffic }) {
    const driver: TrafficSpec = { type: 'traffic', number, traffic };
    return {
      openQueue: () => ({ driver, close() {} }),
      link: () => ({ mtu: MTU, maxLength: MAX_LENGTH, carrier: true }),
      close() {},
    };
  },
  drive: (datapath, { number, traffic }) => new TrafficPort(datapath, number, traffic),
};

class TrafficPort implements Port {
  readonly descriptors: readonly number[] = [];
  readonly #datapath: Datapath;
  readonly #number: number;
  readonly #hosts: Hosts;

  constructor(datapath: Datapath, number: number, options: TrafficOptions) {
    this.#datapath = datapath;
    this.#number = number;
    this.#hosts = new Hosts(options);
  }

  poll(): number {
    const { nowMs } = this.#datapath;
    let n = 0;
    for (; n < BATCH; n++) {
      const frame = this.#datapath.takeFrame(MAX_FRAME_BYTES);
      if (frame === NONE) break;
      const length = this.#hosts.emit(this.#datapath.u8, this.#datapath.dataAddress(frame), nowMs);
      if (length === 0) {
        this.#datapath.exports.giveFrame(frame);
        break;
      }
      this.#datapath.receive(n, this.#number, frame, length);
    }
    if (n > 0) this.#datapath.exports.process(this.#number, n);
    return n;
  }

  transmit(): void {
    const { nowMs } = this.#datapath;
    this.#datapath.drainQueue(this.#number, true, (address, length) =>
      this.#hosts.receive(this.#datapath.u8, address, length, nowMs),
    );
  }

  dueMs(): number {
    return this.#hosts.dueMs();
  }

  close(): void {}
}
