/**
 * The in-memory half of an AF_PACKET port: message arrays for recvmmsg(2) and sendmmsg(2) whose buffers are
 * frames, so the kernel copies straight into and out of them.
 *
 *     each message   mmsghdr ─▶ iovec[0] ─▶ virtio_net_hdr   offloads of the frame (virtio 1.2 §5.1.6)
 *                            ─▶ iovec[1] ─▶ frame's bytes
 *                            ─▶ control: the VLAN tag, which the kernel took out of the frame (packet(7))
 *
 * Whole segments and partial checksums pass as they are; the kernel behind the socket finishes what its
 * device cannot. Each receiving slot holds a large frame while the port is up.
 *
 * PACKET_QUEUE bytes into the queue's area: the record below, then the receiving and the sending slots. The
 * queue's thread alone uses it; addresses in it are the process's, for the kernel.
 */
import { BATCH, setFrameIn } from '../batch';
import { portCounters } from '../counters';
import { DROP_TRANSMIT_ERROR, DROP_TRANSMIT_QUEUE_FULL } from '../drop';
import { NONE } from '../memory/arena';
import {
  CHECKSUM_GOOD,
  CHECKSUM_PARTIAL,
  CHECKSUM_UNKNOWN,
  FRAME_HEADROOM,
  Frame,
  frameAt,
  giveFrame,
  LARGE_FRAME_SIZE,
  takeFrame,
} from '../packet/frame';
import { segmentCount } from '../packet/segment';
import { pushVlan } from '../packet/vlan';
import { process } from '../process';
import { countSent, dropAtPort } from '../transmit';
import { queued, transmitQueue } from './port';

@unmanaged
export class PacketQueue {
  host: u64; // the process's address of arena address 0
  armed: u32; // receiving slots that hold a frame: the first so many
  sent: u32; // frames of the transmit queue that are done with: the first so many
}

@unmanaged
class Message {
  name: u64;
  nameLength: u64;
  vector: u64;
  vectorCount: u64;
  control: u64;
  controlLength: u64;
  flags: u64;
  length: u32;
  pad60: u32;
}

@unmanaged
class OffloadHeader {
  flags: u8;
  segmentType: u8;
  headerLength: u16;
  segmentSize: u16;
  checksumStart: u16;
  checksumOffset: u16;
}

/** A slot: message, two vectors, offload header and control data in 256 bytes; frame numbers beside. */
export const PACKET_SLOT: u32 = 256;
export const PACKET_VECTORS: u32 = 64;
const OFFLOADS: usize = 96;
const CONTROL: usize = 112;
const CONTROL_SIZE: u64 = 64;
const FRAME_NUMBER: usize = 192;

/** Offset from the record of the message arrays that the system calls take, and of their slots. */
export const PACKET_RX: u32 = 4096;
export const PACKET_TX: u32 = 12288;
export const PACKET_RX_SLOTS: u32 = 32768;
export const PACKET_TX_SLOTS: u32 = 65536;
const PACKET_TX_BATCH: u32 = 64;

const OFFLOAD_SIZE: u64 = 10;
const NEEDS_CHECKSUM: u8 = 1;
const CHECKSUM_VALID: u8 = 2;
const MSG_TRUNC: u32 = 0x20;
const SOL_PACKET: u32 = 263;
const PACKET_AUXDATA: u32 = 8;
const STATUS_VLAN: u32 = 0x10;

/** Message `i` of the array at `array`; messages are contiguous, their slots lie apart. */
function messageAt(queue: PacketQueue, array: u32, i: u32): Message {
  return changetype<Message>(changetype<usize>(queue) + array + ((<usize>i) << 6));
}

function slotAt(queue: PacketQueue, slots: u32, i: u32): usize {
  return changetype<usize>(queue) + slots + <usize>(i * PACKET_SLOT);
}

function aim(queue: PacketQueue, message: Message, slot: usize, data: usize, length: u32): void {
  const vectors = slot + PACKET_VECTORS;
  message.vector = queue.host + <u64>vectors;
  message.vectorCount = 2;
  store<u64>(vectors, queue.host + <u64>(slot + OFFLOADS));
  store<u64>(vectors, OFFLOAD_SIZE, 8);
  store<u64>(vectors, queue.host + <u64>data, 16);
  store<u64>(vectors, <u64>length, 24);
}

/** Gives every receiving slot a frame, as far as there are any. Returns how many slots are ready. */
export function packetArm(queue: PacketQueue): u32 {
  while (queue.armed < BATCH) {
    const number = takeFrame(LARGE_FRAME_SIZE - FRAME_HEADROOM);
    if (number == NONE) break;
    arm(queue, queue.armed++, number);
  }
  return queue.armed;
}

/** Makes receiving slot `i` receive into frame `number`. */
function arm(queue: PacketQueue, i: u32, number: u32): void {
  const slot = slotAt(queue, PACKET_RX_SLOTS, i);
  const message = messageAt(queue, PACKET_RX, i);
  store<u32>(slot, number, FRAME_NUMBER);
  aim(queue, message, slot, frameAt(number).data, LARGE_FRAME_SIZE - FRAME_HEADROOM);
  message.control = queue.host + <u64>(slot + CONTROL);
  message.controlLength = CONTROL_SIZE;
}

/** Processes the first `n` messages, which recvmmsg has filled, and arms the slots anew. */
export function packetReceived(port: u32, queue: PacketQueue, n: u32): void {
  let kept: u32 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const slot = slotAt(queue, PACKET_RX_SLOTS, i);
    const number = load<u32>(slot, FRAME_NUMBER);
    if (readMessage(messageAt(queue, PACKET_RX, i), slot, frameAt(number), port)) setFrameIn(kept++, number);
    else refuse(port, number);
  }
  takeOver(queue, n);
  if (kept != 0) process(port, kept);
  packetArm(queue);
}

/**
 * What recvmmsg writes, for a device that is read a frame at a time: message `i` has got `length` bytes, offload
 * header included, and no control data.
 */
export function packetRead(queue: PacketQueue, i: u32, length: u32): void {
  const message = messageAt(queue, PACKET_RX, i);
  message.length = length;
  message.flags = 0;
  message.controlLength = 0;
}

/** Moves the frames of the slots behind the first `n`, which nothing was received into, to the front. */
function takeOver(queue: PacketQueue, n: u32): void {
  queue.armed -= n;
  for (let i: u32 = 0; i < queue.armed; i++) {
    const number = load<u32>(slotAt(queue, PACKET_RX_SLOTS, n + i), FRAME_NUMBER);
    arm(queue, i, number);
  }
}

/** A frame longer than any buffer never was received: it counts at the port only. */
function refuse(port: u32, number: u32): void {
  portCounters(port).rxErrors++;
  giveFrame(number);
}

function readMessage(message: Message, slot: usize, frame: Frame, port: u32): bool {
  if (<u32>message.flags & MSG_TRUNC || message.length < <u32>OFFLOAD_SIZE) return false;
  const offloads = changetype<OffloadHeader>(slot + OFFLOADS);
  frame.length = message.length - <u32>OFFLOAD_SIZE;
  frame.port = port;
  frame.flags = 0;
  if (offloads.flags & NEEDS_CHECKSUM) frame.checksum = CHECKSUM_PARTIAL;
  else frame.checksum = offloads.flags & CHECKSUM_VALID ? CHECKSUM_GOOD : CHECKSUM_UNKNOWN;
  frame.checksumStart = offloads.checksumStart;
  frame.checksumOffset = offloads.checksumOffset;
  frame.segmentType = offloads.segmentType;
  frame.segmentSize = offloads.segmentSize;
  const tag = vlanTag(message, slot + CONTROL);
  return tag == 0 || pushVlan(frame, tag);
}

/** TPID << 16 | TCI that the kernel took out of the frame, from struct tpacket_auxdata; 0: none. */
function vlanTag(message: Message, control: usize): u32 {
  if (message.controlLength < 36) return 0;
  if (load<u32>(control, 8) != SOL_PACKET || load<u32>(control, 12) != PACKET_AUXDATA) return 0;
  if (!(load<u32>(control, 16) & STATUS_VLAN)) return 0;
  return ((<u32>load<u16>(control, 34)) << 16) | <u32>load<u16>(control, 32);
}

/** Makes messages of the frames queued for the port, at most PACKET_TX_BATCH. Returns how many. */
export function packetFill(port: u32, queue: PacketQueue): u32 {
  const waiting = transmitQueue(port);
  const n = min<u32>(waiting.count - queue.sent, PACKET_TX_BATCH);
  for (let i: u32 = 0; i < n; i++) {
    const frame = frameAt(queued(waiting, queue.sent + i));
    const slot = slotAt(queue, PACKET_TX_SLOTS, i);
    writeOffloads(changetype<OffloadHeader>(slot + OFFLOADS), frame);
    aim(queue, messageAt(queue, PACKET_TX, i), slot, frame.data, frame.length);
  }
  return n;
}

function writeOffloads(offloads: OffloadHeader, frame: Frame): void {
  const isPartial = frame.checksum == CHECKSUM_PARTIAL;
  offloads.flags = isPartial ? NEEDS_CHECKSUM : 0;
  offloads.segmentType = frame.segmentType;
  offloads.segmentSize = frame.segmentSize;
  offloads.headerLength = isPartial ? frame.checksumStart : 0;
  offloads.checksumStart = isPartial ? frame.checksumStart : 0;
  offloads.checksumOffset = isPartial ? frame.checksumOffset : 0;
}

/** The kernel took the first `n` frames that were not done with yet. */
export function packetSent(port: u32, queue: PacketQueue, n: u32): void {
  const waiting = transmitQueue(port);
  for (let i: u32 = 0; i < n; i++) {
    const number = queued(waiting, queue.sent + i);
    const frame = frameAt(number);
    countSent(frame, port, segmentCount(frame), frame.length);
    giveFrame(number);
  }
  queue.sent += n;
  finish(queue, port);
}

/** The kernel refused the next frame: for want of room, which a later one may find, or for good. */
export function packetRefused(port: u32, queue: PacketQueue, noRoom: bool): void {
  const number = queued(transmitQueue(port), queue.sent);
  dropAtPort(number, port, noRoom ? DROP_TRANSMIT_QUEUE_FULL : DROP_TRANSMIT_ERROR);
  queue.sent++;
  finish(queue, port);
}

function finish(queue: PacketQueue, port: u32): void {
  const waiting = transmitQueue(port);
  if (queue.sent < waiting.count) return;
  waiting.count = 0;
  queue.sent = 0;
}

/** Takes back the frames that wait to be received into: the port is closing. */
export function packetDisarm(queue: PacketQueue): void {
  while (queue.armed != 0) {
    queue.armed--;
    giveFrame(load<u32>(slotAt(queue, PACKET_RX_SLOTS, queue.armed), FRAME_NUMBER));
  }
}
