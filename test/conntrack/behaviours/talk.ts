/**
 * What two hosts say to each other, as it is sent and as it is to arrive: the same packet, or one with the addresses and
 * ports that its translation gives it. Both are built from scratch, with all their checksums.
 */
import {
  ACK,
  ethernet,
  FIN,
  icmp,
  icmp6,
  ipv4,
  ipv6,
  PSH,
  SYN,
  sctp,
  type Transport,
  tcp,
  udp,
} from '../../support/packets.ts';

export const A = '10.1.1.1';
export const B = '10.1.1.2';

/** `port` is the identifier of ICMP queries. */
export interface End {
  address: string;
  port: number;
}

export interface Ends {
  client: End;
  server: End;
}

export interface Step {
  /** Ports of the switch. */
  from: number;
  to: number;
  sent: Uint8Array;
  arrives: Uint8Array;
}

export const ends = (client: string, clientPort: number, server: string, serverPort: number): Ends => ({
  client: { address: client, port: clientPort },
  server: { address: server, port: serverPort },
});

export const reversed = ({ client, server }: Ends): Ends => ({ client: server, server: client });

/** A packet from one address to another, of the family that they have. */
export function packet(src: string, dst: string, transport: Transport): Uint8Array {
  return ethernet({}, src.includes(':') ? ipv6({ src, dst }, transport) : ipv4({ src, dst }, transport));
}

export const udpPacket = ({ client, server }: Ends, payload?: Uint8Array): Uint8Array =>
  packet(client.address, server.address, udp({ src: client.port, dst: server.port }, payload));

/** Who says what: `own` and `other` are the ends of whoever says it. */
type Part = readonly [who: 'client' | 'server', says: (own: End, other: End) => Transport];

const segment = (who: 'client' | 'server', seq: number, ack: number, flags: number, bytes = 0): Part => [
  who,
  (own, other) => tcp({ src: own.port, dst: other.port, seq, ack, flags }, new Uint8Array(bytes).fill(102)),
];

const HTTP: readonly Part[] = [
  segment('client', 100, 0, SYN),
  segment('server', 500, 101, SYN | ACK),
  segment('client', 101, 501, ACK),
  segment('client', 101, 501, PSH | ACK, 10),
  segment('server', 501, 111, PSH | ACK, 21),
  segment('client', 111, 522, FIN | ACK),
  segment('server', 522, 112, FIN | ACK),
  segment('client', 112, 523, ACK),
];

const datagram: Part[1] = (own, other) => udp({ src: own.port, dst: other.port }, Uint8Array.of(1, 2, 3));
const DATAGRAMS: readonly Part[] = [
  ['client', datagram],
  ['server', datagram],
  ['client', datagram],
];

const PINGS: readonly Part[] = [1, 2, 3].flatMap((sequence): Part[] => [
  ['client', (own) => echo(own, 0, own.port, sequence)],
  ['server', (own, other) => echo(own, 1, other.port, sequence)],
]);

function echo({ address }: End, isReply: 0 | 1, id: number, sequence: number): Transport {
  const rest = id * 0x10000 + sequence;
  return address.includes(':')
    ? icmp6({ type: isReply ? 129 : 128, rest })
    : icmp({ type: isReply ? 0 : 8, rest });
}

/** RFC 9260 §3.3: INIT, INIT ACK, COOKIE ECHO, COOKIE ACK, DATA, SACK, ABORT. */
const CHUNKS: readonly Part[] = (
  [
    ['client', 1, 16],
    ['server', 2, 36],
    ['client', 10, 16],
    ['server', 11, 0],
    ['client', 0, 24],
    ['server', 3, 12],
    ['client', 6, 0],
  ] as const
).map(([who, type, bytes]) => [
  who,
  (own, other) => {
    const chunk = new Uint8Array(4 + bytes).fill(type);
    chunk.set([type, 0, 0, chunk.length]);
    return sctp({ src: own.port, dst: other.port }, chunk);
  },
]);

/** A talk as it is: `inside` the client's view of it, `outside` the server's; and the ports of the two. */
function talk(
  parts: readonly Part[],
  inside: Ends,
  outside = inside,
  ports = { client: 1, server: 2 },
): Step[] {
  return parts.map(([who, says]) => {
    const other = who === 'client' ? 'server' : 'client';
    const as = (view: Ends) => packet(view[who].address, view[other].address, says(view[who], view[other]));
    const [sent, arrives] = who === 'client' ? [inside, outside] : [outside, inside];
    return { from: ports[who], to: ports[other], sent: as(sent), arrives: as(arrives) };
  });
}

type Talk = (inside: Ends, outside?: Ends, ports?: { client: number; server: number }) => Step[];

/** A TCP connection from its beginning to its end. */
export const http: Talk = (...args) => talk(HTTP, ...args);
/** A question, an answer, and one question more. */
export const datagrams: Talk = (...args) => talk(DATAGRAMS, ...args);
/** An SCTP association from its beginning to its end. */
export const association: Talk = (...args) => talk(CHUNKS, ...args);
/** Three echo requests and their replies. */
export const pings: Talk = (...args) => talk(PINGS, ...args);
