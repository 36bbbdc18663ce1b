/**
 * A control connection between a client behind port 1 and a server behind port 2 of a small switch, byte for byte. Each
 * end counts as TCP does what it has sent and received, and insists that what comes continues that.
 */
import assert from 'node:assert/strict';
import { connectionRows, expectationRows } from '../../src/control/connections.ts';
import type { ConnectionRow } from '../../src/model.ts';
import type { ConnectionSlice } from '../../src/upcall/connections.ts';
import { expectationLine } from '../../src/view/connection.ts';
import { naiveParse } from '../support/naive-parse.ts';
import { endOf } from '../support/naive-rewrite.ts';
import {
  ACK,
  concat,
  ethernet,
  get16,
  get32,
  ipv4,
  ipv6,
  onesComplementSum,
  PSH,
  pseudoHeader,
  SYN,
  set16,
  set32,
  type Transport,
  tcp,
  udp,
} from '../support/packets.ts';
import { NO_LIMITS, SmallSwitch } from '../upcall/small-switch.ts';

/** Flows with which a connection from port 1, and what it announces, pass; `commit` is what makes them. */
export const flows = (commit: string, related = 'ct(commit,zone=5,nat)', protocol = 'tcp'): string =>
  (commit.includes('nat(') ? [commit.includes('::') ? '6' : ''] : ['', '6'])
    .flatMap((six) => [
      `${protocol}${six},actions=ct(table=1,zone=5,nat)`,
      `table=1,${protocol}${six},in_port=1,ct_state=+new-rel,actions=${commit},2`,
      `table=1,${protocol}${six},in_port=1,ct_state=+new+rel,actions=${related},2`,
      `table=1,${protocol}${six},in_port=2,ct_state=+new+rel,actions=${related},1`,
      `table=1,${protocol}${six},in_port=1,ct_state=+est-inv,actions=2`,
      `table=1,${protocol}${six},in_port=2,ct_state=+est-inv,actions=1`,
    ])
    .join('\n');

export interface Ends {
  src: string;
  dst: string;
  sport: number;
  dport: number;
}

/** A packet as it came out, its checksums found right. */
export interface Seen extends Ends {
  seq: number;
  ack: number;
  flags: number;
  text: string;
  options: Uint8Array;
}

const wrap = (src: string, dst: string, padding: number, transport: Transport): Uint8Array =>
  ethernet({ padding }, (src.includes(':') ? ipv6 : ipv4)({ src, dst }, transport));

const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'));

export class Wire {
  readonly switch: SmallSwitch;
  /** Bytes behind each packet. */
  padding = 0;

  constructor(flows: string, connections?: number) {
    this.switch = new SmallSwitch(flows, NO_LIMITS, connections);
  }

  /** Sends a TCP segment into `port`; what comes out of the other one, if anything. */
  tcp(port: number, { src, dst, sport, dport }: Ends, fields: Partial<Seen>): Seen | undefined {
    const { seq = 0, ack = 0, flags = ACK, text = '', options = new Uint8Array() } = fields;
    const segment = tcp({ src: sport, dst: dport, seq, ack, flags, options, window: 60_000 }, bytesOf(text));
    return this.pass(port, wrap(src, dst, this.padding, segment));
  }

  udp(port: number, { src, dst, sport, dport }: Ends, payload: Uint8Array): Seen | undefined {
    return this.pass(port, wrap(src, dst, this.padding, udp({ src: sport, dst: dport }, payload)));
  }

  pass(port: number, packet: Uint8Array): Seen | undefined {
    const out = this.switch.forward(port, packet);
    assert.ok(out.length <= 1);
    if (out.length === 0) return undefined;
    assert.equal(out[0]!.port, 3 - port);
    return read(out[0]!.bytes);
  }

  connections(): ConnectionRow[] {
    const slice = this.switch.request({ command: 'connections', filter: [], from: 0 }) as ConnectionSlice;
    return connectionRows(slice.records, slice.nowMs);
  }

  /** What is expected, as it is shown. */
  expectations(): string[] {
    const copies = this.switch.request({ command: 'expectations' }) as Uint8Array;
    return expectationRows(copies).map(expectationLine);
  }

  get refusedLines(): number {
    return this.switch.rig.observer.totals().ctRefusedLines;
  }
}

/** What a packet says, whose checksums are right. */
function read(frame: Uint8Array): Seen {
  const parsed = naiveParse(frame, 0);
  assert.ok(typeof parsed !== 'number');
  const { l3, l4 } = parsed;
  const packet = frame.subarray(0, endOf(frame, l3));
  const isV6 = packet[l3]! >>> 4 === 6;
  const addresses = isV6 ? packet.subarray(l3 + 8, l3 + 40) : packet.subarray(l3 + 12, l3 + 20);
  if (!isV6) assert.equal(onesComplementSum(packet.subarray(l3, l4)), 0xffff, 'checksum of IP');
  const segment = packet.subarray(l4);
  const protocol = isV6 ? packet[l3 + 6]! : packet[l3 + 9]!;
  const sum = onesComplementSum(pseudoHeader(addresses, protocol, segment.length), segment);
  assert.equal(sum, 0xffff, 'checksum of the transport');
  const written = (at: number) => {
    const size = addresses.length / 2;
    const bytes = addresses.subarray(at * size, (at + 1) * size);
    return isV6
      ? Array.from({ length: 8 }, (_, i) => get16(bytes, 2 * i).toString(16)).join(':')
      : bytes.join('.');
  };
  const header = protocol === 6 ? 4 * (segment[12]! >>> 4) : 8;
  return {
    src: written(0),
    dst: written(1),
    sport: get16(segment, 0),
    dport: get16(segment, 2),
    seq: get32(segment, 4),
    ack: get32(segment, 8),
    flags: segment[13]!,
    options: segment.slice(20, header),
    text: Buffer.from(segment.subarray(header)).toString('latin1'),
  };
}

/** One end of a connection, by what TCP there has sent and received. */
class End {
  next: number;
  expected = 0;
  sent: { seq: number; text: string }[] = [];

  constructor(first: number) {
    this.next = first;
  }
}

export class ControlConnection {
  readonly #wire: Wire;
  readonly #ways: readonly [Ends, Ends];
  /** The client's, the server's. */
  readonly #ends: readonly [End, End];
  /** Names of both ends as the server knows them. */
  readonly known: Ends;

  /** @param reply what the server's packets have, when the connection is translated */
  constructor(wire: Wire, ends: Ends, firsts: [client: number, server: number] = [1000, 7000]) {
    this.#wire = wire;
    this.#ends = [new End(firsts[0]), new End(firsts[1])];
    const [client, server] = this.#ends;
    const syn = wire.tcp(1, ends, { seq: client.next, flags: SYN });
    assert.ok(syn, 'SYN');
    this.known = { src: syn.src, dst: syn.dst, sport: syn.sport, dport: syn.dport };
    this.#ways = [ends, { src: syn.dst, dst: syn.src, sport: syn.dport, dport: syn.sport }];
    client.next = (client.next + 1) >>> 0;
    server.expected = (syn.seq + 1) >>> 0;
    const answer = wire.tcp(2, this.#ways[1], {
      seq: server.next,
      ack: server.expected,
      flags: SYN | ACK,
    });
    assert.equal(answer?.ack, client.next);
    server.next = (server.next + 1) >>> 0;
    client.expected = (answer.seq + 1) >>> 0;
    assert.ok(this.acknowledge(0));
  }

  /** The client (0) or the server (1) sends a line; what the other end gets of it. */
  say(who: 0 | 1, text: string): string | undefined {
    const [own, other] = [this.#ends[who], this.#ends[1 - who]!];
    const { next } = own;
    const seen = this.#send(who, { seq: next, text });
    if (!seen) return undefined;
    own.next = (next + text.length) >>> 0;
    own.sent.push({ seq: next, text });
    assert.equal(seen.seq, other.expected, 'continues what came');
    other.expected = (other.expected + seen.text.length) >>> 0;
    return seen.text;
  }

  /** Sends again what it sent last; what comes is where and as long as it was. */
  repeat(who: 0 | 1): string {
    const { seq, text } = this.#ends[who].sent.at(-1)!;
    const seen = this.#send(who, { seq, text })!;
    assert.equal((seen.seq + seen.text.length) >>> 0, this.#ends[1 - who]!.expected);
    return seen.text;
  }

  /** Acknowledges all that came, with a block behind it; the other end gets what it has sent. */
  acknowledge(who: 0 | 1, padding = 1): boolean {
    const [own, other] = [this.#ends[who], this.#ends[1 - who]!];
    const options = concat(
      new Uint8Array(padding).fill(1),
      Uint8Array.of(5, 10),
      new Uint8Array(8),
      pad(padding),
    );
    set32(options, padding + 2, (own.expected + 100) >>> 0);
    set32(options, padding + 6, (own.expected + 200) >>> 0);
    const seen = this.#send(who, { seq: own.next, text: '', options });
    if (!seen) return false;
    const edges = [get32(seen.options, padding + 2), get32(seen.options, padding + 6)];
    const all = [seen.seq, seen.ack, ...edges];
    const { next } = other;
    assert.deepEqual(all, [other.expected, next, (next + 100) >>> 0, (next + 200) >>> 0], 'acknowledges');
    return true;
  }

  #send(who: 0 | 1, segment: { seq: number; text: string; options?: Uint8Array }): Seen | undefined {
    const flags = segment.text ? ACK | PSH : ACK;
    return this.#wire.tcp(who + 1, this.#ways[who]!, { ...segment, flags, ack: this.#ends[who].expected });
  }
}

/** So that the options end with a word. */
const pad = (padding: number): Uint8Array => new Uint8Array((6 - padding) % 4).fill(1);

/** A request of TFTP. */
export function request(operation: number, name: string): Uint8Array {
  const bytes = new Uint8Array(2);
  set16(bytes, 0, operation);
  return concat(bytes, bytesOf(`${name}\0octet\0`));
}
