/** A host that is none of the simulated ones: it writes any frame, and reads what the hosts answer. */
import { Address } from '../../src/port/traffic/addresses.ts';
import { type Hosts, MAX_FRAME_BYTES } from '../../src/port/traffic/hosts.ts';
import { FrameReader } from '../../src/port/traffic/reader.ts';
import { Segment, writeSegment } from '../../src/port/traffic/segment.ts';
import { ByteStream } from '../../src/port/traffic/stream.ts';
import { FrameWriter, type Route } from '../../src/port/traffic/writer.ts';

/** The first host behind port 1 of 10.0.0.0/16, which is whom everything goes to. */
export const HOST_MAC = 0x020000010000;
export const HOST_IPV4 = new Address().setIpv4(0x0a000101);
export const HOST_IPV6 = new Address().set(0xfd000000 | 0, 0, 0, 0x0a000101);

export const OUTSIDER_MAC = 0x0200000000aa;
export const OUTSIDER_IPV4 = new Address().setIpv4(0x0a000001);
export const OUTSIDER_IPV6 = new Address().set(0xfe800000 | 0, 0, 0, 0xaa);

/** From the outsider to the first host. */
export const routeFor = (version: 4 | 6, protocol: number): Route => ({
  localMac: OUTSIDER_MAC,
  remoteMac: HOST_MAC,
  local: version === 4 ? OUTSIDER_IPV4 : OUTSIDER_IPV6,
  remote: version === 4 ? HOST_IPV4 : HOST_IPV6,
  protocol,
});

/** The frame that `write` writes, which returns its length. */
export function build(write: (frame: FrameWriter) => number): Uint8Array {
  const frame = new FrameWriter(0);
  frame.aim(new Uint8Array(65_600), 0);
  return frame.bytes.slice(0, write(frame));
}

/** A packet to the first host, with its checksum at `field` of `payload`, which begins with the transport header. */
export const packet = (version: 4 | 6, protocol: number, payload: Uint8Array, field: number): Uint8Array =>
  build((frame) => {
    const route = routeFor(version, protocol);
    const at = frame.begin(route, payload.length);
    frame.bytes.set(payload, at);
    return frame.seal(route, at, payload.length, field);
  });

/** An ICMP or ICMPv6 message whose last four header bytes are zero. */
export function icmp(version: 4 | 6, type: number, data: Uint8Array): Uint8Array {
  const payload = new Uint8Array(8 + data.length);
  payload[0] = type;
  payload.set(data, 8);
  return packet(version, version === 4 ? 1 : 58, payload, 2);
}

export function datagram(version: 4 | 6, port: number, data: Uint8Array): Uint8Array {
  const payload = new Uint8Array(8 + data.length);
  const view = new DataView(payload.buffer);
  view.setUint16(0, 4321);
  view.setUint16(2, port);
  view.setUint16(4, payload.length);
  payload.set(data, 8);
  return packet(version, 17, payload, 6);
}

/** A TCP segment from port `localPort` of `local` to port `port` of the first host. */
export function segment(fields: {
  local?: Address;
  port?: number;
  localPort?: number;
  sequence?: number;
  acknowledgment?: number;
  flags: number;
  window?: number;
  maxSegment?: number;
  data?: string;
}): Uint8Array {
  const { port = 80, localPort = 4321, sequence = 0, acknowledgment = 0, maxSegment = 0, data = '' } = fields;
  const route = { ...routeFor(4, 6), local: fields.local ?? OUTSIDER_IPV4 };
  const ends = { route, localPort, remotePort: port };
  const stream = new ByteStream(data, 0);
  return build((frame) => {
    const { flags, window = 0xffff } = fields;
    writeSegment(frame, ends, sequence, acknowledgment, flags, maxSegment, stream, 0, data.length);
    const length = 20 + (maxSegment === 0 ? 0 : 4) + data.length;
    frame.view.setUint16(34 + 14, window);
    return frame.seal(route, 34, length, 16);
  });
}

/** Everything that the hosts send now. */
export function emitted(hosts: Hosts, nowMs: number): Uint8Array[] {
  const frames: Uint8Array[] = [];
  const memory = new Uint8Array(MAX_FRAME_BYTES);
  for (let length = hosts.emit(memory, 0, nowMs); length > 0; length = hosts.emit(memory, 0, nowMs)) {
    frames.push(memory.slice(0, length));
  }
  return frames;
}

/** Gives the hosts a frame and returns what they send thereupon. */
export function ask(hosts: Hosts, frame: Uint8Array, nowMs: number): Uint8Array[] {
  hosts.receive(frame, 0, frame.length, nowMs);
  return emitted(hosts, nowMs);
}

/** Reads a packet, whose checksums must be right. */
export function readPacket(frame: Uint8Array): FrameReader {
  const reader = new FrameReader();
  const fault = reader.readEthernet(frame, 0, frame.length) ?? reader.readIp();
  if (fault !== undefined) throw new Error(`a host sent a packet that counts under ${fault}`);
  if (!reader.checksumHolds()) throw new Error('a host sent a packet with a wrong checksum');
  return reader;
}

/** Reads a TCP segment. */
export function readSegment(frame: Uint8Array): Segment {
  const segment = new Segment();
  if (!segment.read(readPacket(frame))) throw new Error('a host sent a malformed TCP header');
  return segment;
}
