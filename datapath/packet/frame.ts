/**
 * A frame: one packet in one buffer, and what is known of it. One cache line beside the buffer.
 *
 *     buffer   ├──── headroom ────┤ Ethernet │ IP │ … ├── tailroom ──┤
 *              base               data                data + length
 *
 * Frames 0 .. frameCount-1 are chunks of FRAME_SIZE bytes, contiguous, and serve as AF_XDP's UMEM as they
 * are; the rest are large ones for whole segments of up to 64 KiB. Its bytes never move; headers grow into
 * the headroom.
 *
 * A frame has one holder at a time, who alone reads and writes it and its record: the thread that took it,
 * the ring that carries it, or the kernel queue that it was put on. Whoever takes it from a ring sees what
 * the thread before it wrote, because the ring's index was stored after that (ring.ts). `base` is written
 * once, before any thread attaches.
 *
 * `holder` says who that is, for whoever tidies up after a thread that died (reclaim.ts); what a thread has
 * lent to the kernel is still its own there. A thread writes it right after it has got the frame and right before
 * it lets go of it: what is between two holders is nobody's.
 *
 * Offloads mean what `struct virtio_net_hdr` means by them (virtio 1.2 §5.1.6): PARTIAL says that the
 * checksum at checksumStart + checksumOffset covers only the pseudo-header so far; segmentType other than
 * SEGMENT_NONE that the frame stands for several of at most segmentSize payload bytes each.
 */
import { map, NONE } from '../memory/arena';
import { give, POOL_FRAMES, POOL_LARGE_FRAMES, take } from '../memory/pool';
import { get, put, Ring, ringBetween } from '../memory/ring';
import { self } from '../memory/thread';

@unmanaged
export class Frame {
  data: usize;
  length: u32;
  base: usize;
  port: u32; // where it came in; on its way out, where it goes
  flags: u32; // FRAME_…
  l3: u16; // offset of the network header from data; 0: none
  l4: u16; // offset of the transport header from data; 0: none, or a later fragment
  checksumStart: u16; // offset from data
  checksumOffset: u16; // offset from checksumStart
  segmentType: u8; // SEGMENT_…
  segmentSize: u16;
  joined: u16; // frames that this one has taken in (coalesce.ts); they share its fate
  holder: u16; // HELD_…
}

export const HELD_BY_NOBODY: u16 = 0; // free
export const HELD_BY_RING: u16 = 1;
export const HELD_BY_THREAD: u16 = 0x100; // + number of the thread

export const FRAME_RECORD: u32 = 64;
export const FRAME_SIZE: u32 = 2048;
export const FRAME_HEADROOM: u32 = 256;
export const LARGE_FRAME_SIZE: u32 = 67584; // headroom, 64 KiB and a little
export const MAX_LENGTH: u32 = 65550; // what any port may carry: 64 KiB of IP behind an Ethernet header

export const FRAME_COPY: u32 = 1; // made for a further output; counted apart
export const FRAME_PARTIAL: u32 = 2; // the transport checksum is still to be completed
export const FRAME_CHECKED: u32 = 4; // whoever gave it vouches for the transport checksum
export const FRAME_PIECE: u32 = 8; // cut from a frame that is counted already

// virtio 1.2 §5.1.6, VIRTIO_NET_HDR_GSO_…
export const SEGMENT_NONE: u8 = 0;
export const SEGMENT_TCP4: u8 = 1;
export const SEGMENT_TCP6: u8 = 4;
export const SEGMENT_UDP: u8 = 5;

export function frameAt(number: u32): Frame {
  return changetype<Frame>(map.frameRecords + <usize>(number * FRAME_RECORD));
}

/** Makes it one whole packet, as it came off a wire. */
export function makePlain(frame: Frame): void {
  frame.flags = 0;
  frame.segmentType = SEGMENT_NONE;
  frame.segmentSize = 0;
  frame.joined = 0;
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

/** A frame with the same bytes and offloads and room for `room` bytes; NONE when there is no free one. */
export function duplicate(frame: Frame, room: u32): u32 {
  const number = takeFrame(room);
  if (number == NONE) return NONE;
  const copy = frameAt(number);
  memory.copy(copy.data, frame.data, frame.length);
  copy.length = frame.length;
  copy.port = frame.port;
  copy.flags = frame.flags;
  copy.l3 = frame.l3;
  copy.l4 = frame.l4;
  copy.checksumStart = frame.checksumStart;
  copy.checksumOffset = frame.checksumOffset;
  copy.segmentType = frame.segmentType;
  copy.segmentSize = frame.segmentSize;
  return number;
}

/** A copy of the frame for a further output, marked FRAME_COPY; NONE when there is no free frame. */
export function copyFrame(frame: Frame): u32 {
  const number = duplicate(frame, frame.length);
  if (number != NONE) frameAt(number).flags |= FRAME_COPY;
  return number;
}
