/** Meters as the handler sets and reads them; `datapath/action/meter.ts` says what they do to packets. */
import { type Arena, regionAddress } from './arena.ts';
import {
  MAX_BANDS,
  METER_BAND_STRIDE,
  METER_BANDS,
  METER_STRIDE,
  METERS,
  Meter,
  MeterBand,
  TOKENS_OF_PACKET,
} from './generated/layout.ts';

/** A bucket that was empty an infinite time ago is full: `bitsOf` minus infinity. */
const SINCE_EVER = 0x000f_ffff_ffff_ffffn;

/** What a meter limits: thousands of bits, or packets, a second. */
export interface MeterLimits {
  unit: 'kbps' | 'pktps';
  bands: readonly BandLimits[];
}

export interface BandLimits {
  type: 'drop' | 'dscp_remark';
  /** In the meter's unit, a second. */
  rate: number;
  /** In kilobits or packets; 0: as much as the rate lets through in a second. */
  burst: number;
  /** dscp_remark: by how much the drop precedence goes up; 1 when left out. */
  precLevel?: number;
}

/** Packets and bytes that came to a meter, and that each of its bands took. */
export interface MeterTotals extends BandTotals {
  bands: BandTotals[];
}

export interface BandTotals {
  packets: number;
  bytes: number;
}

export class MeterTable {
  readonly #i32: Int32Array;
  readonly #u64: BigUint64Array;
  readonly #f64: Float64Array;
  readonly #meters: number;

  constructor(arena: Arena) {
    const { buffer } = arena.memory;
    this.#i32 = new Int32Array(buffer);
    this.#u64 = new BigUint64Array(buffer);
    this.#f64 = new Float64Array(buffer);
    this.#meters = regionAddress(arena, 'meters');
  }

  /**
   * Makes meter `number` a new one, with full buckets and nothing counted.
   * @throws RangeError when there is no such number, or the meter has no bands or too many.
   */
  set(number: number, { unit, bands }: MeterLimits): void {
    const at = this.#at(number);
    if (bands.length < 1 || bands.length > MAX_BANDS) {
      throw new RangeError(`meter of ${bands.length} bands; expected 1 to ${MAX_BANDS}`);
    }
    this.remove(number);
    Atomics.store(this.#i32, (at + Meter.countsPackets) >> 2, unit === 'pktps' ? 1 : 0);
    this.#zero(at + Meter.packets);
    for (const [i, band] of bands.entries()) this.#setBand(this.#band(at, i), band);
    Atomics.store(this.#i32, (at + Meter.bands) >> 2, bands.length);
  }

  /** From now on packets pass meter `number`. */
  remove(number: number): void {
    Atomics.store(this.#i32, (this.#at(number) + Meter.bands) >> 2, 0);
  }

  /** What meter `number` has counted since it was set; undefined when there is none. */
  read(number: number): MeterTotals | undefined {
    const at = this.#at(number);
    const bands = Atomics.load(this.#i32, (at + Meter.bands) >> 2);
    if (bands === 0) return undefined;
    return {
      ...this.#totals(at + Meter.packets),
      bands: Array.from({ length: bands }, (_, i) => this.#totals(this.#band(at, i) + MeterBand.packets)),
    };
  }

  /** A rate a second is so many tokens a millisecond: a packet has a thousand, and a kilobit a thousand bits. */
  #setBand(at: number, { type, rate, burst, precLevel = 1 }: BandLimits): void {
    this.#f64[(at + MeterBand.rate) >> 3] = rate;
    this.#f64[(at + MeterBand.depthMs) >> 3] = rate > 0 ? ((burst || rate) * TOKENS_OF_PACKET) / rate : 0;
    this.#i32[(at + MeterBand.remark) >> 2] = type === 'drop' ? 0 : precLevel;
    this.#u64[(at + MeterBand.emptyMs) >> 3] = SINCE_EVER;
    this.#zero(at + MeterBand.packets);
  }

  /** Sets a count of packets and bytes back. */
  #zero(at: number): void {
    Atomics.store(this.#u64, at >> 3, 0n);
    Atomics.store(this.#u64, (at + 8) >> 3, 0n);
  }

  #totals(at: number): BandTotals {
    return {
      packets: Number(Atomics.load(this.#u64, at >> 3)),
      bytes: Number(Atomics.load(this.#u64, (at + 8) >> 3)),
    };
  }

  #at(number: number): number {
    if (number >= METERS) throw new RangeError(`meter ${number}; expected 0 to ${METERS - 1}`);
    return this.#meters + number * METER_STRIDE;
  }

  #band(meter: number, i: number): number {
    return meter + METER_BANDS + i * METER_BAND_STRIDE;
  }
}
