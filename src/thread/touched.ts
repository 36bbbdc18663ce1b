/** How much of the arena has been touched: only that takes up memory. */
import type { Arena } from '../datapath.ts';
import { hasLibc } from '../sys/libc.ts';
import { PAGE_BYTES, residentPages } from '../sys/memory.ts';

/** Bytes of each region that lie on touched pages, in the regions' order; undefined where nobody can tell. */
export function touchedBytes({ memory, regions }: Arena): number[] | undefined {
  if (!hasLibc()) return undefined;
  const pages = residentPages(new Uint8Array(memory.buffer));
  return regions.map(({ address, records, recordBytes }) => {
    const end = address + records * recordBytes;
    let touched = 0;
    for (let page = Math.floor(address / PAGE_BYTES); page * PAGE_BYTES < end; page++) {
      const bytes = Math.min(end, (page + 1) * PAGE_BYTES) - Math.max(address, page * PAGE_BYTES);
      touched += pages[page]! * bytes;
    }
    return touched;
  });
}
