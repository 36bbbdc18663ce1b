/**
 * The control side of a stream port: one connection at a time, accepted or made, and made again when it ends;
 * its bytes go to and from the port's rings (`datapath/port/stream.ts`).
 */
import { createServer, type Server, Socket } from 'node:net';
import {
  type Arena,
  MAX_LENGTH,
  STREAM_INCOMING,
  STREAM_OUTGOING,
  STREAM_RING,
  StreamQueue,
} from '../../datapath.ts';
import { removeStale, type StreamAddress } from './address.ts';

/** A connection that could not be made or was lost is made again after this long. */
const RETRY_MS = 500;

export class StreamLink {
  readonly #i32: Int32Array;
  readonly #u8: Uint8Array;
  readonly #queue: number;
  readonly #wake: () => void;
  #absence = 'no peer yet';
  #server: Server | undefined;
  #retry: NodeJS.Timeout | undefined;
  #socket: Socket | undefined;
  /** Bytes that came in and found no room. */
  #waiting: Uint8Array | undefined;
  #saturated = false;
  #closed = false;

  /**
   * @param queue arena address of the queue's area
   * @param wake called when there is something for the port's thread to poll
   */
  constructor(arena: Arena, queue: number, wake: () => void) {
    const { buffer } = arena.memory;
    this.#i32 = new Int32Array(buffer);
    this.#u8 = new Uint8Array(buffer);
    this.#queue = queue;
    this.#wake = wake;
    this.#u8.fill(0, queue, queue + STREAM_INCOMING); // another port's before
    this.#watch();
  }

  /** Why there is no peer; empty: there is one. */
  get absence(): string {
    return this.#absence;
  }

  /** Resolves when it listens. @throws Error when it cannot */
  async listen(address: StreamAddress): Promise<void> {
    await removeStale(address);
    const server = createServer((socket) => {
      if (this.#socket) socket.destroy();
      else this.#adopt(socket);
    });
    this.#server = server;
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(address, resolve));
  }

  /** Connects now and whenever there is no connection. */
  connect(address: StreamAddress): void {
    const socket = new Socket();
    let reason = '';
    socket.once('connect', () => this.#adopt(socket));
    socket.once('error', ({ message }) => {
      reason = message;
    });
    socket.once('close', () => {
      if (this.#closed) return;
      if (reason !== '') this.#absence = reason;
      this.#retry = setTimeout(() => this.connect(address), RETRY_MS);
    });
    socket.connect({ ...address });
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#server?.close();
    this.#socket?.destroy();
    this.#raise();
  }

  #adopt(socket: Socket): void {
    this.#socket = socket;
    this.#waiting = undefined;
    this.#saturated = false;
    socket.setNoDelay();
    socket.pause();
    socket.on('data', (bytes) => this.#receive(bytes));
    socket.on('drain', () => {
      this.#saturated = false;
      this.#send();
    });
    let reason = 'the peer hung up';
    socket.on('error', ({ message }) => {
      reason = message;
    });
    socket.on('close', () => {
      this.#socket = undefined;
      this.#absence = reason;
      this.#store('isConnected', 0);
    });
    // The thread answers in `ready`; then `#pump` begins to read.
    this.#store('outgoingTail', this.#load('outgoingHead'));
    this.#store('connection', this.#load('connection') + 1);
    this.#absence = '';
    this.#store('isConnected', 1);
    this.#wake();
  }

  /** Looks after the rings whenever the thread says that there is news. */
  async #watch(): Promise<void> {
    const news = (this.#queue + StreamQueue.news) >> 2;
    while (!this.#closed) {
      const seen = Atomics.load(this.#i32, news);
      this.#pump();
      const { async, value } = Atomics.waitAsync(this.#i32, news, seen);
      if (async) await value;
    }
  }

  #pump(): void {
    const socket = this.#socket;
    if (!socket || this.#load('ready') !== this.#load('connection')) return;
    if (this.#load('fault') !== 0) {
      const length = this.#load('faultLength') >>> 0;
      socket.destroy(new Error(`a frame of ${length} bytes; expected 1 to ${MAX_LENGTH}`));
      return;
    }
    this.#send();
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting) this.#receive(waiting);
    else if (socket.isPaused()) socket.resume();
  }

  /** Puts bytes into the incoming ring; while there is no room for all, the socket is not read. */
  #receive(bytes: Uint8Array): void {
    const head = this.#load('incomingHead');
    const room = STREAM_RING - ((head - this.#load('incomingTail')) | 0);
    const taken = bytes.subarray(0, room);
    const first = head & (STREAM_RING - 1);
    const whole = taken.subarray(0, STREAM_RING - first);
    const ring = this.#queue + STREAM_INCOMING;
    this.#u8.set(whole, ring + first);
    this.#u8.set(taken.subarray(whole.length), ring);
    this.#store('incomingHead', head + taken.length);
    if (taken.length > 0) this.#wake();
    if (taken.length === bytes.length) {
      this.#socket?.resume();
      return;
    }
    this.#socket?.pause();
    this.#waiting = bytes.subarray(taken.length);
  }

  /** Writes what the thread has put into the outgoing ring, as long as the socket takes it. */
  #send(): void {
    const socket = this.#socket;
    const tail = this.#load('outgoingTail');
    const length = (this.#load('outgoingHead') - tail) | 0;
    if (!socket || this.#saturated || length === 0) return;
    const bytes = Buffer.allocUnsafe(length);
    const ring = this.#queue + STREAM_OUTGOING;
    const first = tail & (STREAM_RING - 1);
    const whole = Math.min(length, STREAM_RING - first);
    bytes.set(this.#u8.subarray(ring + first, ring + first + whole));
    bytes.set(this.#u8.subarray(ring, ring + length - whole), whole);
    this.#store('outgoingTail', tail + length);
    this.#saturated = !socket.write(bytes);
  }

  #raise(): void {
    const news = (this.#queue + StreamQueue.news) >> 2;
    Atomics.add(this.#i32, news, 1);
    Atomics.notify(this.#i32, news);
  }

  #load(field: keyof typeof StreamQueue): number {
    return Atomics.load(this.#i32, (this.#queue + StreamQueue[field]) >> 2);
  }

  #store(field: keyof typeof StreamQueue, value: number): void {
    Atomics.store(this.#i32, (this.#queue + StreamQueue[field]) >> 2, value | 0);
  }
}
