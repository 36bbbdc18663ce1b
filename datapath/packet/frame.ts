/**
 * A frame: one packet in one buffer, and what is known of it. Two cache lines beside the buffer, of which packets
 * that no connection tracking sees touch the first.
 *
 *     buffer   ├──── headroom ────┤ Ethernet │ IP │ … ├── tailroom ──┤
 *              base               data                data + length
 *
 * Frames 0 .. frameCount-1 are chunks of FRAME_SIZE bytes, contiguous, and serve as AF_XDP's UMEM as they
 * are; the rest are large ones for whole segments of up to 64 KiB. Its bytes never move; headers grow into
 * the headroom.
 *
 * A frame has one holder at a time, who alone reads and writes it and its record: the thread that took it, the
 * ring that carries it, the table in which a fragment waits, or the kernel queue that it was put on. Whoever takes
 * it from a ring sees what the thread before it wrote, because the ring's index was stored after that (ring.ts), or
 * from the table, because of its lock. `base` is written once, before any thread attaches.
 *
 * `holder` says who that is, for whoever tidies up after a thread that died (reclaim.ts); what a thread has
 * lent to the kernel is still its own there. A thread writes it right after it has got the frame and right before
 * it lets go of it: what is between two holders is nobody's.
 *
 * `l3` to `shape` are what the parser found (parse.ts). Whatever changes the frame afterwards keeps them
 * right, or forgets them when it cannot: so a header that they name is there, whole.
 *
 * Offloads mean what `struct virtio_net_hdr` means by them (virtio 1.2 §5.1.6): CHECKSUM_PARTIAL says that
 * the checksum at checksumStart + checksumOffset covers only the pseudo-header so far; segmentType other
 * than SEGMENT_NONE that the frame stands for several of at most segmentSize payload bytes each.
 */
import { map, NONE } from '../memory/arena';
import { give, POOL_FRAMES, POOL_LARGE_FRAMES, poolSize, take } from '../memory/pool';
import { get, put, Ring, ringBetween } from '../memory/ring';
import { self } from '../memory/thread';

@unmanaged
export class Frame {
  data: usize;
  length: u32;
  base: usize;
  port: u32; // where it came in; on its way out, where it goes
  flags: u32; // FRAME_…
  segmentType: u8; // SEGMENT_…
  checksum: u8; // CHECKSUM_…, of the transport
  segmentSize: u16; // `flags` to here are eight bytes
  l3: u16; // offset of the ARP or IP header from data, also behind labels; 0: none was read
  l4: u16; // offset of what IP carries from data; 0: none, or a later fragment
  network: u8; // NETWORK_…
  transport: u8; // PROTO_… of the header that was read at l4; 0: none
  shape: u16; // SHAPE_…; `l3` to here are eight bytes
  checksumStart: u16; // offset from data
  checksumOffset: u16; // offset from checksumStart
  joined: u16; // frames that this one has taken in (coalesce.ts); they share its fate
  rounds: u8; // how often it has gone round (recirculate.ts)
  origin: u8; // with a handler: the thread that it came from
  holder: u16; // HELD_…
  strand: u16; // when it has gone round, or waits: that of its key as it came in (handlers.ts)
  recirculation: u16; // when it has gone round: its key's
  turn: u8; // with a handler: its turn when it took the frame (order.ts)
  pad47: u8;
  punt: u32; // FRAME_PUNT: what the handler knows it by (punt.ts)
  puntLength: u32; // FRAME_PUNT: its length before it was cut short
  connection: u32; // FRAME_TRACKED: number + 1 of the one that heard of it last; 0: none
  generation: u32; // and that one's
  // the second line: FRAME_TRACKED: what tracking tells of it (conntrack/state.ts)
}

export const HELD_BY_NOBODY: u16 = 0; // free
export const HELD_BY_RING: u16 = 1;
export const HELD_BY_TABLE: u16 = 2; // of datagrams (conntrack/datagrams.ts)
export const HELD_BY_THREAD: u16 = 0x100; // + number of the thread

export const FRAME_RECORD: u32 = 128;
export const FRAME_SIZE: u32 = 2048;
export const FRAME_HEADROOM: u32 = 256;
export const LARGE_FRAME_SIZE: u32 = 67584; // headroom, 64 KiB and a little
export const MAX_LENGTH: u32 = 65550; // what any port may carry: 64 KiB of IP behind an Ethernet header

export const FRAME_COPY: u32 = 1; // made for a further output; counted apart
export const FRAME_PIECE: u32 = 2; // cut from a frame that is counted already
export const FRAME_PUNT: u32 = 4; // for the controller
export const FRAME_TRACKED: u32 = 8; // it has been through connection tracking

// What stands behind the tags and has been read; 0: nothing.
export const NETWORK_ARP: u8 = 1;
export const NETWORK_IPV4: u8 = 2;
export const NETWORK_IPV6: u8 = 3;
export const NETWORK_MPLS: u8 = 4;

// Why the transport checksum cannot be told from this frame alone.
export const SHAPE_FRAGMENT: u16 = 1; // it covers the other fragments too
export const SHAPE_ROUTED: u16 = 2; // IPv6: it covers the final destination, which the header does not yet name

// What is known of the transport checksum (transport-checksum.ts).
export const CHECKSUM_UNKNOWN: u8 = 0;
export const CHECKSUM_GOOD: u8 = 1;
export const CHECKSUM_BAD: u8 = 2;
export const CHECKSUM_PARTIAL: u8 = 3; // still to be completed

// virtio 1.2 §5.1.6, VIRTIO_NET_HDR_GSO_…
export const SEGMENT_NONE: u8 = 0;
export const SEGMENT_TCP4: u8 = 1;
export const SEGMENT_TCP6: u8 = 4;
export const SEGMENT_UDP: u8 = 5;

export function frameAt(number: u32): Frame {
  return changetype<Frame>(map.frameRecords + <usize>(number * FRAME_RECORD));
}

/** How many frames there are, large ones included. */
export function frameNumbers(): u32 {
  return map.frameCount + poolSize(POOL_LARGE_FRAMES);
}

/** This thread has got the frame from elsewhere. */
export function hold(frame: Frame): void {
  frame.holder = HELD_BY_THREAD + <u16>self.number;
}

/** Passes a frame on to thread `to`; false when the ring there is full: then it stays this thread's. */
export function passFrame(number: u32, to: u32): bool {
  const frame = frameAt(number);
  frame.holder = HELD_BY_RING;
  if (put(ringBetween(self.number, to), number)) return true;
  hold(frame);
  return false;
}

/** Takes the oldest frame from a ring to this thread, in which there is one. */
export function receiveFrame(ring: Ring): u32 {
  const number = get(ring);
  hold(frameAt(number));
  return number;
}

/** Forgets what the parser found. */
export function forgetHeaders(frame: Frame): void {
  store<u64>(changetype<usize>(frame), 0, offsetof<Frame>('l3'));
}

/** Makes it one whole packet, as it came off a wire, that has not gone round. */
export function makePlain(frame: Frame): void {
  forgetHeaders(frame);
  store<u64>(changetype<usize>(frame) + offsetof<Frame>('flags'), 0);
  frame.rounds = 0;
  frame.joined = 0;
}

/** Moves the frame's beginning to `data`, and what is told from there. */
export function moveStart(frame: Frame, data: usize): void {
  const by = <u16>(frame.data - data);
  frame.length += <u32>(frame.data - data);
  frame.data = data;
  if (frame.l3 != 0) frame.l3 += by;
  if (frame.l4 != 0) frame.l4 += by;
  if (frame.checksum == CHECKSUM_PARTIAL) frame.checksumStart += by;
}

/** Makes the frame this thread's and empty: no data, full headroom, no offloads. */
function clear(frame: Frame): void {
  hold(frame);
  frame.data = frame.base + FRAME_HEADROOM;
  frame.length = 0;
  makePlain(frame);
}

/** An empty frame with room for `length` bytes behind the headroom, or NONE when there is none. */
export function takeFrame(length: u32): u32 {
  if (length > LARGE_FRAME_SIZE - FRAME_HEADROOM) return NONE;
  const small = length <= FRAME_SIZE - FRAME_HEADROOM;
  const index = take(self.number, small ? POOL_FRAMES : POOL_LARGE_FRAMES);
  if (index == NONE) return NONE;
  const number = small ? index : index + map.frameCount;
  clear(frameAt(number));
  return number;
}

export function giveFrame(number: u32): void {
  frameAt(number).holder = HELD_BY_NOBODY;
  if (number < map.frameCount) give(self.number, POOL_FRAMES, number);
  else give(self.number, POOL_LARGE_FRAMES, number - map.frameCount);
}

/** Takes over what the parser found in `from`, whose headers `frame` has at the same places. */
export function copyHeaders(frame: Frame, from: Frame): void {
  const found = load<u64>(changetype<usize>(from), offsetof<Frame>('l3'));
  store<u64>(changetype<usize>(frame), found, offsetof<Frame>('l3'));
}

/** What tracking told of `from` is told of `frame` as well. */
export function copyTracking(frame: Frame, from: Frame): void {
  frame.flags |= FRAME_TRACKED;
  frame.connection = from.connection;
  frame.generation = from.generation;
  memory.copy(changetype<usize>(frame) + 64, changetype<usize>(from) + 64, 64);
}

/** A frame with the same bytes and offloads and room for `room` bytes; NONE when there is no free one. */
export function duplicate(frame: Frame, room: u32): u32 {
  const number = takeFrame(room);
  if (number == NONE) return NONE;
  const copy = frameAt(number);
  memory.copy(copy.data, frame.data, frame.length);
  copy.length = frame.length;
  copy.port = frame.port;
  copy.flags = frame.flags;
  copyHeaders(copy, frame);
  copy.checksum = frame.checksum;
  copy.checksumStart = frame.checksumStart;
  copy.checksumOffset = frame.checksumOffset;
  copy.segmentType = frame.segmentType;
  copy.segmentSize = frame.segmentSize;
  copy.rounds = frame.rounds;
  copy.strand = frame.strand;
  copy.origin = frame.origin;
  copy.turn = frame.turn;
  copy.recirculation = frame.recirculation;
  if (frame.flags & FRAME_TRACKED) copyTracking(copy, frame);
  return number;
}

/** A copy of the frame for a further output, marked FRAME_COPY; NONE when there is no free frame. */
export function copyFrame(frame: Frame): u32 {
  const number = duplicate(frame, frame.length);
  if (number != NONE) frameAt(number).flags |= FRAME_COPY;
  return number;
}
