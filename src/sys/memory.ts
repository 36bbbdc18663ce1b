/** Which pages of the process's memory there really are: mincore(2). */
import { check, libc } from './libc.ts';

export const PAGE_BYTES = 4096;

/** One element a page of `memory`, which begins on one: 1 when it has been touched, and so takes up memory. */
export function residentPages(memory: Uint8Array): Uint8Array {
  const pages = new Uint8Array(Math.ceil(memory.length / PAGE_BYTES));
  check(libc().mincore(libc().address(memory), memory.length, pages), 'mincore');
  // The other bits mean nothing yet.
  return pages.map((page) => page & 1);
}
