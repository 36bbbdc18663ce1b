/**
 * A batch of frames that become packets of other connections in place: only the client's address, the server's, the
 * client's port and the checksum over the addresses are written, so that making a packet costs little beside
 * tracking it.
 *
 *     connection   client and server by its lowest 12 bits, which of the client's ports by the others
 *     client       10.0.0.0 … 10.0.15.255, ports 1024 … 65535
 *     server       10.1.0.0 … 10.1.0.15, port 443
 *
 * Connections with consecutive numbers are of different clients, and the ports of a client come in no order.
 */
import type { Datapath } from '../datapath.ts';
import { prepare } from './tracking.ts';

/** Connections that differ. */
export const CONNECTIONS_MOST = 2 ** 26;

const CLIENTS = 4096;
const CLIENT_NETWORK = 0x0a00_0000;
const SERVERS = 16;
const SERVER_NETWORK = 0x0a01_0000;
const SERVER_PORT = 443;
const PORT_LEAST = 1024;
const PORTS = 65_536 - PORT_LEAST;
/** Shares no divisor with PORTS, so that the ports of a client are all different. */
const PORT_STEP = 25_253;

const ETHERNET_BYTES = 14;
/** RFC 791 §3.1; then the ports: offsets from the IPv4 header. */
const TOTAL_LENGTH = 2;
const PROTOCOL = 9;
const HEADER_CHECKSUM = 10;
const SOURCE = 12;
const DESTINATION = 16;
const IPV4_BYTES = 20;
const SOURCE_PORT = 20;
const DESTINATION_PORT = 22;

/** What the packets are, but for whose. */
export interface PacketKind {
  protocol: number;
  /** What follows the ports. */
  rest: Uint8Array;
  fromServer: boolean;
}

export class ConnectionPackets {
  readonly #datapath: Datapath;
  readonly #frames: Uint32Array;
  /** Where the IPv4 header of each begins; this and the offsets below in 16-bit words. */
  readonly #headers: Uint32Array;
  /** Of the words of the IPv4 header that stay. */
  readonly #sum: number;
  readonly #client: number;
  readonly #server: number;
  readonly #clientPort: number;
  /** Frames that were tracked last. */
  #tracked = 0;

  constructor(datapath: Datapath, kind: PacketKind) {
    const packet = packetOf(kind);
    this.#datapath = datapath;
    this.#frames = prepare(datapath, packet);
    this.#headers = this.#frames.map((frame) => (datapath.dataAddress(frame) + ETHERNET_BYTES) >> 1);
    this.#sum = sumOf(packet.subarray(ETHERNET_BYTES, ETHERNET_BYTES + IPV4_BYTES));
    const { fromServer } = kind;
    this.#client = (fromServer ? DESTINATION : SOURCE) >> 1;
    this.#server = (fromServer ? SOURCE : DESTINATION) >> 1;
    this.#clientPort = (fromServer ? DESTINATION_PORT : SOURCE_PORT) >> 1;
  }

  /** Makes frame `i` a packet of a connection. */
  placeOne(i: number, connection: number): void {
    const { u16 } = this.#datapath;
    const header = this.#headers[i]!;
    const number = connection % CLIENTS;
    const turn = Math.floor(connection / CLIENTS);
    const client = networkOrder(number);
    const server = networkOrder(number % SERVERS);
    u16[header + this.#client] = CLIENT_HIGH; // a translated source is another
    u16[header + this.#client + 1] = client;
    u16[header + this.#server + 1] = server;
    u16[header + this.#clientPort] = networkOrder(PORT_LEAST + ((turn * PORT_STEP + number) % PORTS));
    u16[header + (HEADER_CHECKSUM >> 1)] = ~fold(this.#sum + client + server);
  }

  /** Makes the first `n` frames packets of the connections from `first` on. */
  place(first: number, n: number): void {
    for (let i = 0; i < n; i++) this.placeOne(i, first + i);
  }

  /** Tracks the first `n` frames in zone 0. */
  track(n: number, flags: number): void {
    this.#datapath.batchAgain(this.#frames);
    this.#datapath.exports.trackBatch(n, 0, flags);
    this.#tracked = n;
  }

  /** Throws unless all that were tracked last have the bits `state` of ct_state. The batch is still theirs. */
  check(state: number): void {
    for (let i = 0; i < this.#tracked; i++) {
      const found = this.#datapath.ctState(i);
      if (found === state) continue;
      throw new Error(`found ct_state 0x${found.toString(16)}, expected 0x${state.toString(16)}`);
    }
  }
}

const networkOrder = (value: number): number => ((value & 0xff) << 8) | (value >>> 8);
const CLIENT_HIGH = networkOrder(CLIENT_NETWORK >>> 16);

/** The bytes of a packet, with zeros for the client's port, the header's checksum and the hosts of both addresses. */
function packetOf({ protocol, rest, fromServer }: PacketKind): Buffer {
  const packet = Buffer.alloc(ETHERNET_BYTES + IPV4_BYTES + 4 + rest.length);
  packet.write('0200000000010200000000020800', 'hex');
  const header = packet.subarray(ETHERNET_BYTES);
  header.writeUInt16BE(0x4500);
  header.writeUInt16BE(header.length, TOTAL_LENGTH);
  header[8] = 64;
  header[PROTOCOL] = protocol;
  header.writeUInt32BE(CLIENT_NETWORK, fromServer ? DESTINATION : SOURCE);
  header.writeUInt32BE(SERVER_NETWORK, fromServer ? SOURCE : DESTINATION);
  header.writeUInt16BE(SERVER_PORT, fromServer ? SOURCE_PORT : DESTINATION_PORT);
  header.set(rest, IPV4_BYTES + 4);
  return packet;
}

/** Of 16-bit words as they are loaded: RFC 1071 §2 (B), the sum is right in either byte order. */
function sumOf(header: Buffer): number {
  let sum = 0;
  for (let at = 0; at < header.length; at += 2) sum += header.readUInt16LE(at);
  return sum;
}

function fold(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16);
  return once + (once >>> 16);
}
