/**
 * The C library through koffi, which is optional: without it everything but kernel ports works.
 *
 * Calls take addresses as BigInt or memory as typed arrays. Memory whose address the kernel keeps must be
 * held by whoever passed it: the collector knows nothing of the kernel's interest.
 */
import { createRequire } from 'node:module';
import { getSystemErrorMap } from 'node:util';

/** A system call failed. `code` is the errno's name, such as EPERM. */
export class SystemError extends Error {
  readonly code: string;
  constructor(call: string, errno: number) {
    const [code, reason] = getSystemErrorMap().get(-errno) ?? [`errno ${errno}`, 'failed'];
    super(`${call}: ${reason} (${code})${code === 'EPERM' ? '; ports of the kernel need root' : ''}`);
    this.name = 'SystemError';
    this.code = code;
  }
}

type Pointer = bigint | Uint8Array | null;

/** Functions return what C does: -1 on failure, with `errno()` telling why. */
export interface Libc {
  socket(domain: number, type: number, protocol: number): number;
  setsockopt(fd: number, level: number, option: number, value: Uint8Array, length: number): number;
  getsockopt(fd: number, level: number, option: number, value: Uint8Array, length: Uint8Array): number;
  bind(fd: number, address: Uint8Array, length: number): number;
  mmap(at: Pointer, length: number, protection: number, flags: number, fd: number, offset: number): bigint;
  sendto(fd: number, bytes: Pointer, length: number, flags: number, to: Pointer, toLength: number): number;
  recv(fd: number, bytes: Uint8Array, length: number, flags: number): number;
  recvmmsg(fd: number, messages: Pointer, count: number, flags: number, timeout: Pointer): number;
  sendmmsg(fd: number, messages: Pointer, count: number, flags: number): number;
  poll(fds: Pointer, count: number, timeoutMs: number): number;
  eventfd(initial: number, flags: number): number;
  read(fd: number, bytes: Pointer, length: number): number;
  write(fd: number, bytes: Pointer, length: number): number;
  readv(fd: number, vectors: Pointer, count: number): number;
  writev(fd: number, vectors: Pointer, count: number): number;
  ioctl(fd: number, request: number, argument: Pointer): number;
  clock_gettime(clock: number, time: Uint8Array): number;
  mincore(at: Pointer, length: number, pages: Uint8Array): number;
  if_nametoindex(name: string): number;
  syscall(number: number, a: number, b: Uint8Array, c: number): number;
  errno(): number;
  /** Address of a typed array's memory, which must not be collected while the address is used. */
  address(memory: Uint8Array): bigint;
}

const PROTOTYPES = {
  socket: 'int socket(int, int, int)',
  setsockopt: 'int setsockopt(int, int, int, void*, uint32_t)',
  getsockopt: 'int getsockopt(int, int, int, void*, void*)',
  bind: 'int bind(int, void*, uint32_t)',
  mmap: 'void* mmap(void*, size_t, int, int, int, int64_t)',
  sendto: 'intptr_t sendto(int, void*, size_t, int, void*, uint32_t)',
  recv: 'intptr_t recv(int, void*, size_t, int)',
  recvmmsg: 'int recvmmsg(int, void*, uint32_t, int, void*)',
  sendmmsg: 'int sendmmsg(int, void*, uint32_t, int)',
  poll: 'int poll(void*, ulong, int)',
  eventfd: 'int eventfd(uint32_t, int)',
  read: 'intptr_t read(int, void*, size_t)',
  write: 'intptr_t write(int, void*, size_t)',
  readv: 'intptr_t readv(int, void*, int)',
  writev: 'intptr_t writev(int, void*, int)',
  ioctl: 'int ioctl(int, ulong, void*)',
  clock_gettime: 'int clock_gettime(int, void*)',
  mincore: 'int mincore(void*, size_t, void*)',
  if_nametoindex: 'uint32_t if_nametoindex(const char*)',
  syscall: 'long syscall(long, long, void*, long)',
} as const;

let loaded: Libc | undefined;

/**
 * The library, loaded once a thread.
 * @throws Error saying what is missing when koffi is not installed or this is not Linux.
 */
export function libc(): Libc {
  loaded ??= load();
  return loaded;
}

/** Whether `libc` would work here. */
export function hasLibc(): boolean {
  try {
    libc();
    return true;
  } catch {
    return false;
  }
}

function load(): Libc {
  if (process.platform !== 'linux') throw new Error(`needs Linux; this is ${process.platform}`);
  let koffi: typeof import('koffi');
  try {
    koffi = createRequire(import.meta.url)('koffi');
  } catch {
    throw new Error('needs the package koffi, which is not installed here (npm install koffi)');
  }
  const library = koffi.load('libc.so.6');
  const functions = Object.fromEntries(
    Object.entries(PROTOTYPES).map(([name, prototype]) => [name, library.func(prototype)]),
  );
  return { ...functions, errno: () => koffi.errno(), address: (memory) => koffi.address(memory) } as Libc;
}

/** `result` unless it is negative. */
export function check(result: number, call: string): number {
  if (result < 0) throw new SystemError(call, libc().errno());
  return result;
}

/** Four bytes of a C int, little-endian. */
export function int32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}
