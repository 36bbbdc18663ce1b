/**
 * The one BPF program of the switch: it hands every frame of a queue to the AF_XDP socket of that queue.
 * Attribute layouts are those of `union bpf_attr` in linux/bpf.h. The program hangs on a BPF link, which
 * the kernel takes off when its descriptor is closed, however the process ends.
 */
import { closeSync } from 'node:fs';
import { check, libc } from './libc.ts';

const SYSCALL_BPF: Record<string, number> = { x64: 321, arm64: 280 };

const BPF_MAP_CREATE = 0;
const BPF_MAP_UPDATE_ELEM = 2;
const BPF_PROG_LOAD = 5;
const BPF_LINK_CREATE = 28;
const BPF_MAP_TYPE_XSKMAP = 17;
const BPF_PROG_TYPE_XDP = 6;
const BPF_XDP = 37;
const XDP_PASS = 2;

/** linux/if_link.h: where the program runs. */
export const XDP_MODE_GENERIC = 2;
export const XDP_MODE_NATIVE = 4;

/** `pointees` is memory that the attributes point to: holding it here keeps it from the collector. */
function bpf(command: number, attributes: Uint8Array, what: string, ...pointees: Uint8Array[]): number {
  const number = SYSCALL_BPF[process.arch];
  if (number === undefined) throw new Error(`AF_XDP is not supported on ${process.arch}`);
  const result = check(Number(libc().syscall(number, command, attributes, attributes.length)), what);
  pointees.length = 0;
  return result;
}

/** A map from queue numbers below `queues` to AF_XDP sockets, still empty; close it with closeSync. */
export function createSocketMap(queues: number): number {
  const attributes = Buffer.alloc(72);
  attributes.writeUInt32LE(BPF_MAP_TYPE_XSKMAP, 0);
  attributes.writeUInt32LE(4, 4);
  attributes.writeUInt32LE(4, 8);
  attributes.writeUInt32LE(queues, 12);
  return bpf(BPF_MAP_CREATE, attributes, 'creating a BPF map');
}

/** r2 = queue number of the frame; return redirect_map(map, r2, XDP_PASS). */
function loadProgram(map: number): number {
  const instructions = Buffer.alloc(6 * 8);
  const put = (i: number, opcode: number, registers: number, offset: number, immediate: number) => {
    instructions[8 * i] = opcode;
    instructions[8 * i + 1] = registers;
    instructions.writeInt16LE(offset, 8 * i + 2);
    instructions.writeInt32LE(immediate, 8 * i + 4);
  };
  put(0, 0x61, 0x12, 16, 0); // r2 = *(u32 *)(r1 + offsetof(xdp_md, rx_queue_index))
  put(1, 0x18, 0x11, 0, map); // r1 = map, two slots
  put(2, 0, 0, 0, 0);
  put(3, 0xb7, 0x03, 0, XDP_PASS); // r3 = what to do when the queue has no socket
  put(4, 0x85, 0, 0, 51); // call bpf_redirect_map
  put(5, 0x95, 0, 0, 0); // exit
  const license = Buffer.from('Dual BSD/GPL\0');
  const attributes = Buffer.alloc(144);
  attributes.writeUInt32LE(BPF_PROG_TYPE_XDP, 0);
  attributes.writeUInt32LE(instructions.length / 8, 4);
  attributes.writeBigUInt64LE(libc().address(instructions), 8);
  attributes.writeBigUInt64LE(libc().address(license), 16);
  return bpf(BPF_PROG_LOAD, attributes, 'loading the XDP program', instructions, license);
}

function attach(program: number, interfaceIndex: number, mode: number): number {
  const attributes = Buffer.alloc(64);
  attributes.writeUInt32LE(program, 0);
  attributes.writeUInt32LE(interfaceIndex, 4);
  attributes.writeUInt32LE(BPF_XDP, 8);
  attributes.writeUInt32LE(mode, 12);
  return bpf(BPF_LINK_CREATE, attributes, 'attaching the XDP program');
}

/** Enters a socket. It leaves the map by itself when it is closed. */
export function setSocket(map: number, queue: number, socket: number): void {
  const key = Buffer.alloc(4);
  key.writeUInt32LE(queue);
  const value = Buffer.alloc(4);
  value.writeInt32LE(socket);
  const attributes = Buffer.alloc(32);
  attributes.writeUInt32LE(map, 0);
  attributes.writeBigUInt64LE(libc().address(key), 8);
  attributes.writeBigUInt64LE(libc().address(value), 16);
  bpf(BPF_MAP_UPDATE_ELEM, attributes, 'adding the socket to the BPF map', key, value);
}

/**
 * Directs the queues of an interface to the AF_XDP sockets in `map`; what comes in at others, the kernel keeps.
 * Returns the descriptor of the link; closing it detaches the program.
 * @throws SystemError, EBUSY when another program is attached.
 */
export function redirectQueues(interfaceIndex: number, map: number, mode: number): number {
  const program = loadProgram(map);
  try {
    return attach(program, interfaceIndex, mode);
  } finally {
    closeSync(program);
  }
}
