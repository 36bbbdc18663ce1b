/** The packets of bench `connections`: a UDP one without data, and those of a TCP connection's life (RFC 9293 §3). */
import type { PacketKind } from './connection-packets.ts';

const UDP_PROTOCOL = 17;
const TCP_PROTOCOL = 6;

/** Length 8, no checksum. */
export const UDP: PacketKind = { protocol: UDP_PROTOCOL, rest: Uint8Array.of(0, 8, 0, 0), fromServer: false };

const FIN = 0x01;
const SYN = 0x02;
const PSH = 0x08;
const ACK = 0x10;

/** Sequence numbers of the first byte of either side. */
const CLIENT = 1000;
const SERVER = 5000;
const DATA_BYTES = 100;

/** In order; nothing is lost, and the client sends data once. */
export const LIFE: readonly PacketKind[] = [
  segment({ seq: CLIENT - 1, flags: SYN }),
  segment({ fromServer: true, seq: SERVER - 1, ack: CLIENT, flags: SYN | ACK }),
  segment({ seq: CLIENT, ack: SERVER, flags: ACK }),
  segment({ seq: CLIENT, ack: SERVER, flags: PSH | ACK, bytes: DATA_BYTES }),
  segment({ seq: CLIENT + DATA_BYTES, ack: SERVER, flags: FIN | ACK }),
  segment({ fromServer: true, seq: SERVER, ack: CLIENT + DATA_BYTES + 1, flags: FIN | ACK }),
  segment({ seq: CLIENT + DATA_BYTES + 1, ack: SERVER + 1, flags: ACK }),
];

interface Segment {
  seq: number;
  ack?: number;
  flags: number;
  /** Of data. */
  bytes?: number;
  fromServer?: boolean;
}

function segment({ seq, ack = 0, flags, bytes = 0, fromServer = false }: Segment): PacketKind {
  const rest = Buffer.alloc(16 + bytes); // the ports are not in it
  rest.writeUInt32BE(seq, 0);
  rest.writeUInt32BE(ack, 4);
  rest.writeUInt16BE(0x5000 | flags, 8); // a header of five words
  rest.writeUInt16BE(65_535, 10);
  return { protocol: TCP_PROTOCOL, rest, fromServer };
}
