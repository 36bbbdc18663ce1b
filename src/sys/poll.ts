/**
 * Sleeping in poll(2) on descriptors and a doorbell, which is an eventfd(2) that other threads write.
 */
import { check, libc } from './libc.ts';

const EFD_NONBLOCK = 0x800;
const EFD_CLOEXEC = 0x80000;
const POLLIN = 1;
const POLLFD_SIZE = 8;

/** A new doorbell; close it with closeSync. */
export function openDoorbell(): number {
  return check(libc().eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), 'eventfd');
}

const one = new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]);

/** Wakes whoever polls the doorbell. */
export function ringDoorbell(fd: number): void {
  libc().write(fd, one, one.length);
}

export class Poller {
  readonly #doorbell: number;
  readonly #fds: Buffer;
  readonly #address: bigint;
  readonly #drained = new Uint8Array(8);

  constructor(doorbell: number, descriptors: readonly number[]) {
    this.#doorbell = doorbell;
    const all = [doorbell, ...descriptors];
    this.#fds = Buffer.alloc(all.length * POLLFD_SIZE);
    all.forEach((fd, i) => {
      this.#fds.writeInt32LE(fd, i * POLLFD_SIZE);
      this.#fds.writeInt16LE(POLLIN, i * POLLFD_SIZE + 4);
    });
    this.#address = libc().address(this.#fds);
  }

  /** Sleeps until a descriptor is readable, the doorbell rings or `timeoutMs` pass; false when they have passed. */
  sleep(timeoutMs: number): boolean {
    const count = this.#fds.length / POLLFD_SIZE;
    const ready = libc().poll(this.#address, count, Math.min(Math.ceil(timeoutMs), 0x7fffffff));
    if (ready > 0 && this.#fds.readInt16LE(6) !== 0) libc().read(this.#doorbell, this.#drained, 8);
    return ready > 0;
  }
}
