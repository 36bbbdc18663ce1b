/** Which meter of the datapath does the work of which OpenFlow meter. */
import { type Arena, METERS, MeterTable, type MeterTotals } from '../datapath.ts';
import type { Meter } from '../table/meter.ts';
import type { Meters } from '../table/meters.ts';

interface Bound {
  readonly meter: Meter;
  readonly number: number;
}

export class DatapathMeters {
  readonly #table: MeterTable;
  readonly #bound = new Map<number, Bound>();
  /** The longest unused first: packets of flows that are about to go may still come by. */
  readonly #free = new Set(Array.from({ length: METERS }, (_, number) => number));

  constructor(arena: Arena) {
    this.#table = new MeterTable(arena);
  }

  /** The datapath's number of a meter. */
  get(id: number): number | undefined {
    return this.#bound.get(id)?.number;
  }

  /** What a meter has counted since it was added or modified; undefined when there is none. */
  read(id: number): MeterTotals | undefined {
    const number = this.get(id);
    return number === undefined ? undefined : this.#table.read(number);
  }

  /** The meters have changed. */
  sync(meters: Meters): void {
    for (const [id, { number }] of this.#bound) {
      if (meters.get(id)) continue;
      this.#table.remove(number);
      this.#free.add(number);
      this.#bound.delete(id);
    }
    for (const { meter } of meters.all()) {
      const bound = this.#bound.get(meter.id);
      if (bound?.meter === meter) continue;
      const number = bound?.number ?? this.#takeFree();
      this.#table.set(number, meter);
      this.#bound.set(meter.id, { meter, number });
    }
  }

  /** There are as many as `Meters` lets in. */
  #takeFree(): number {
    const [number] = this.#free;
    this.#free.delete(number!);
    return number!;
  }
}
