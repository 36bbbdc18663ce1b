/**
 * A switch on threads of its own, two of each kind, and this test at the other end of each port: it sends packets with
 * numbers, and notes which number came out where. All of it is on one thread with whoever asks the switch to change,
 * so a packet was sent either before an answer or after it.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as later } from 'node:timers/promises';
import { parseConfig } from '../../src/control/config.ts';
import { openSwitch, type Switch } from '../../src/control/switch.ts';
import { folder } from '../capture/build.ts';
import { ethernet, get32, ipv4, set32, udp } from './packets.ts';

/** What tells a packet from others beside its number. */
export interface Numbered {
  /** Source port of UDP. */
  flow?: number;
  src?: string;
  dst?: string;
  nwSrc?: string;
}

export interface Arrival {
  number: number;
  port: string;
  /** Source port of UDP. */
  flow: number;
}

/** So many packets may be under way when there are many: far less than any queue holds. */
export const WINDOW = 128;
/** So many are sent at a time, and come in in one batch. */
export const BURST = 16;
const FLOW = 14 + 20;

export class Wire {
  readonly control: Switch;
  /** In the order in which they came. */
  readonly arrivals: Arrival[] = [];
  /** Packets sent so far: the number of the next. */
  sent = 0;
  readonly #folder: string;
  readonly #sockets = new Map<string, Socket>();
  readonly #arrived = new Set<number>();
  readonly #frames = new Map<string, Uint8Array>();

  private constructor(control: Switch, at: string) {
    this.control = control;
    this.#folder = at;
  }

  /** Ports get the numbers from 1 on, and threads in turn. */
  static async open(
    t: TestContext,
    ports: readonly string[],
    flows: string,
    more: object = {},
  ): Promise<Wire> {
    const at = folder(t);
    const streams = ports.map((name, i) => [
      name,
      { ...streamAt(at, name), number: i + 1, thread: 1 + (i % 2) },
    ]);
    const threads = { datapath: 2, handler: 2, revalidator: 2 };
    const yaml = { ports: Object.fromEntries(streams), flows, threads, control: 'none', ...more };
    const control = await openSwitch(parseConfig('test.yaml', JSON.stringify(yaml)));
    const wire = new Wire(control, at);
    t.after(async () => {
      for (const socket of wire.#sockets.values()) socket.destroy();
      await control.stop().catch(() => {});
    });
    for (const name of ports) await wire.plug(name);
    return wire;
  }

  /** Forgets what has arrived; `flows` are all that there are from now on. */
  async begin(flows: string): Promise<void> {
    await this.allArrived();
    const adds = flows.split('\n').map((flow) => `flow add ${flow}`);
    await this.control.rules('flows', 'bundle', ['flow delete', ...adds].join('\n'));
    this.arrivals.length = 0;
  }

  /** What a stream port of that name is opened with. */
  portText(name: string, number: number): string {
    return JSON.stringify({ ...streamAt(this.#folder, name), number });
  }

  /** Connects to a port that is there. */
  async plug(name: string): Promise<void> {
    const socket = connect(join(this.#folder, name));
    await once(socket, 'connect');
    socket.setNoDelay();
    let held = Buffer.alloc(0);
    socket.on('data', (bytes: Buffer) => {
      held = Buffer.concat([held, bytes]);
      while (held.length >= 4 && held.length >= 4 + held.readUInt32BE()) {
        const length = held.readUInt32BE();
        this.#note(name, held.subarray(4, 4 + length));
        held = held.subarray(4 + length);
      }
    });
    socket.on('error', () => {});
    this.#sockets.set(name, socket);
    await until(async () => (await this.control.show('ports')).find((row) => row.name === name)!.carrier);
  }

  /** Sends packets, each under the next number. */
  send(port: string, ...packets: Numbered[]): void {
    const parts = packets.map((packet) => {
      const bytes = this.#frame(packet).slice();
      set32(bytes, bytes.length - 4, this.sent++);
      return bytes;
    });
    this.#sockets.get(port)!.write(Buffer.concat(parts));
  }

  /** The same of many, in bursts, no more of which are under way than may be. */
  async sendAll(port: string, packets: readonly Numbered[]): Promise<void> {
    for (let i = 0; i < packets.length; i += BURST) {
      await until(() => this.sent - this.#arrived.size < WINDOW);
      this.send(port, ...packets.slice(i, i + BURST));
    }
    await this.allArrived();
  }

  /** Sends what `draw` says for so long as `work` takes; returns what comes of that. */
  async load<T>(port: string, draw: () => Numbered, work: Promise<T>): Promise<T> {
    let isOver = false;
    const end = work.finally(() => {
      isOver = true;
    });
    end.catch(() => {});
    while (!isOver) {
      if (this.sent - this.#arrived.size < WINDOW) this.send(port, ...Array.from({ length: BURST }, draw));
      await new Promise(setImmediate);
    }
    return end;
  }

  /** Resolves when so many more packets have been sent than by now. */
  async after(packets: number): Promise<void> {
    const end = this.sent + packets;
    await until(() => this.sent >= end);
  }

  /** Resolves when packet `number` has come out somewhere. */
  async arrived(number: number): Promise<void> {
    await until(() => this.#arrived.has(number));
  }

  /** Resolves when each packet has come out somewhere. */
  async allArrived(): Promise<void> {
    await until(() => this.#arrived.size === this.sent);
  }

  /** Where each number came out, which did at one port. */
  portOf(): string[] {
    const ports: string[] = [];
    for (const { number, port } of this.arrivals) {
      assert.equal(ports[number], undefined, `packet ${number} came out twice`);
      ports[number] = port;
    }
    return ports;
  }

  /** Packets that rules of the table have counted. */
  async counted(filter = ''): Promise<number> {
    const lines = await this.control.rules('flows', 'dump', filter);
    return lines.reduce((sum, line) => sum + Number(/n_packets=(\d+)/.exec(line)![1]), 0);
  }

  /** Kills thread `number` and waits until it is there again. */
  async kill(number: number): Promise<void> {
    const restarts = async () => (await this.control.show('threads'))[number - 1]!.restarts;
    const before = await restarts();
    await this.control.kill(number);
    await until(async () => (await restarts()) > before);
  }

  #frame(packet: Numbered): Uint8Array {
    const { flow = 1, src = '02:00:00:00:00:0a', dst = '02:00:00:00:00:0b', nwSrc = '10.0.0.1' } = packet;
    const key = `${flow} ${src} ${dst} ${nwSrc}`;
    let frame = this.#frames.get(key);
    if (!frame) {
      const bytes = ethernet({ src, dst }, ipv4({ src: nwSrc }, udp({ src: flow }, new Uint8Array(20))));
      frame = new Uint8Array(4 + bytes.length);
      set32(frame, 0, bytes.length);
      frame.set(bytes, 4);
      this.#frames.set(key, frame);
    }
    return frame;
  }

  #note(port: string, frame: Buffer): void {
    const number = get32(frame, frame.length - 4);
    this.#arrived.add(number);
    this.arrivals.push({ number, port, flow: frame.readUInt16BE(FLOW) });
  }
}

const streamAt = (at: string, name: string) => ({ type: 'stream', listen: join(at, name) });

/** Looks until `condition` holds. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await later(1);
}
