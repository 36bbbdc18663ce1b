/** What is asked for a slice at a time, put together. */
import type { MacRow, MegaflowRow } from '../model.ts';

interface Slice<Row> {
  rows: Row[];
  next?: number;
}

/** `slice` tells rows from a place on, and where to go on. */
async function allRows<Row>(slice: (from: number) => Promise<Slice<Row>>): Promise<Row[]> {
  const all: Row[] = [];
  for (let from: number | undefined = 0; from !== undefined; ) {
    const { rows, next }: Slice<Row> = await slice(from);
    for (const row of rows) all.push(row);
    from = next;
  }
  return all;
}

export const megaflowRows = (slice: (from: number) => Promise<Slice<MegaflowRow>>): Promise<MegaflowRow[]> =>
  allRows(slice);

/** Longest unheard first. Who was forgotten and heard again meanwhile is there once. */
export async function macRows(slice: (from: number) => Promise<Slice<MacRow>>): Promise<MacRow[]> {
  const rows = new Map((await allRows(slice)).map((row) => [`${row.vlan} ${row.mac}`, row]));
  return [...rows.values()].sort((a, b) => b.ageSeconds - a.ageSeconds);
}
