/**
 * Which tally of the datapath counts for which group or bucket. A tally only goes up, so what it had counted
 * when it was given out is taken off. Tallies come when a program first needs them and go with their group, or
 * with its buckets when it is modified; a tally that went is given out again as late as can be, since batches
 * under way may still count there.
 */
import { type Observer, TALLIES, type TallyTotals } from '../datapath.ts';
import type { Group } from '../table/group.ts';

interface Tally {
  readonly number: number;
  readonly before: TallyTotals;
}

interface GroupTallies {
  group: Group;
  /** By bucket; under `undefined` that of the group. */
  readonly tallies: Map<number | undefined, Tally>;
}

const NOTHING: TallyTotals = { packets: 0, bytes: 0 };

export class Tallies {
  readonly #observer: Observer;
  readonly #groups = new Map<number, GroupTallies>();
  /** The longest unused first. */
  readonly #free = new Set(Array.from({ length: TALLIES }, (_, number) => number));

  constructor(observer: Observer) {
    this.#observer = observer;
  }

  /** The tally of a bucket, or without one of the group; undefined when there is none left. */
  numberOf(group: Group, bucket?: number): number | undefined {
    let entry = this.#groups.get(group.id);
    if (!entry) {
      entry = { group, tallies: new Map() };
      this.#groups.set(group.id, entry);
    }
    const known = entry.tallies.get(bucket);
    if (known) return known.number;
    const [number] = this.#free;
    if (number === undefined) return undefined;
    this.#free.delete(number);
    entry.tallies.set(bucket, { number, before: this.#observer.tally(number) });
    return number;
  }

  /** What has gone through a group, or through one of its buckets. */
  read(group: number, bucket?: number): TallyTotals {
    const tally = this.#groups.get(group)?.tallies.get(bucket);
    if (!tally) return NOTHING;
    const { packets, bytes } = this.#observer.tally(tally.number);
    return { packets: packets - tally.before.packets, bytes: bytes - tally.before.bytes };
  }

  /** The groups have changed: a modified one counts on, its buckets anew. */
  sync(groups: { get(id: number): Group | undefined }): void {
    for (const [id, entry] of this.#groups) {
      const group = groups.get(id);
      if (group === entry.group) continue;
      for (const [bucket, { number }] of entry.tallies) {
        if (group && bucket === undefined) continue;
        entry.tallies.delete(bucket);
        this.#free.add(number);
      }
      if (group) entry.group = group;
      else this.#groups.delete(id);
    }
  }
}
