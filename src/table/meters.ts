/** The meters in force. */
import { MAX_BANDS, METERS } from '../datapath.ts';
import { type Action, includesAction } from './action.ts';
import { type Journal, JournaledMap, Refusal } from './journal.ts';
import type { Meter } from './meter.ts';

export interface MeterInForce {
  readonly meter: Meter;
  readonly createdMs: number;
}

export class Meters {
  readonly #meters: JournaledMap<MeterInForce>;

  constructor(journal: Journal) {
    this.#meters = new JournaledMap(journal);
  }

  get(id: number): Meter | undefined {
    return this.#meters.get(id)?.meter;
  }

  /** Those that may have come, gone or changed since the last call. */
  takeTouched(): number[] {
    return this.#meters.takeTouched();
  }

  /** By number. */
  all(): MeterInForce[] {
    return this.#meters.entries().map(([, entry]) => entry);
  }

  /** @throws Refusal when there is one with its number, or the datapath has no room for it */
  add(meter: Meter, nowMs: number): void {
    if (this.#meters.get(meter.id)) throw new Refusal(`meter ${meter.id}, which is there`, 'a new number');
    if (this.#meters.size >= METERS) throw new Refusal('one more meter', `at most ${METERS}`);
    this.#set(meter, nowMs);
  }

  /** The meter keeps its age. @throws Refusal when it is not there, or has too many bands */
  modify(meter: Meter): void {
    const old = this.#meters.get(meter.id);
    if (!old) throw new Refusal(`meter ${meter.id}, which is not there`, 'one that is');
    this.#set(meter, old.createdMs);
  }

  delete(id: number): void {
    this.#meters.delete(id);
  }

  #set(meter: Meter, createdMs: number): void {
    const { length } = meter.bands;
    if (length > MAX_BANDS) throw new Refusal(`a meter of ${length} bands`, `at most ${MAX_BANDS}`);
    this.#meters.set(meter.id, { meter, createdMs });
  }
}

/** Whether an action lets packets pass a meter; `id` undefined: any. */
export const usesMeter =
  (id: number | undefined) =>
  (action: Action): boolean => {
    if (action.kind !== 'meter' && action.kind !== 'controller') return false;
    return action.meter !== undefined && (id === undefined || action.meter === id);
  };

/** The meters that a list of actions names. */
export function metersIn(actions: readonly Action[]): number[] {
  const found: number[] = [];
  includesAction(actions, (action) => {
    if (usesMeter(undefined)(action)) found.push((action as { meter: number }).meter);
    return false;
  });
  return found;
}
