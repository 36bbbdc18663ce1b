/** What NORMAL has learned, as a thread of the slow path sees it: the table is in the arena (datapath/bridge). */
import { BATCH_SCRATCH, BATCH_STRIDE, type Datapath, NONE, regionAddress, Station } from '../datapath.ts';
import type { MacEntry, Sighting, Stations } from '../table/mac.ts';

/** Entries that are listed at a time, so that no miss waits for a table of a million. */
const SLICE = 1024;

export class MacTable implements Stations {
  readonly #datapath: Datapath;
  readonly #ageingMs: number;
  /** Where the module puts copies of stations, and finds which ports are gone. */
  readonly #scratch: number;

  /** Stations are forgotten when they have not been heard for `ageingMs`. */
  constructor(datapath: Datapath, ageingMs: number) {
    this.#datapath = datapath;
    this.#ageingMs = ageingMs;
    this.#scratch = regionAddress(datapath.arena, 'batches') + datapath.thread * BATCH_STRIDE + BATCH_SCRATCH;
  }

  /** Changes when an entry is added, moves to another port or is removed, not when it is refreshed. */
  get generation(): number {
    return this.#datapath.exports.stationGeneration() >>> 0;
  }

  learn({ vlan, mac, port }: Sighting, heardMs: number): void {
    this.#datapath.exports.learnAgain(vlan, mac / 2 ** 32, mac >>> 0, port, heardMs);
  }

  lookup(vlan: number, mac: number): MacEntry | undefined {
    const isKnown = this.#datapath.exports.lookUpStation(vlan, mac / 2 ** 32, mac >>> 0, this.#scratch);
    return isKnown ? this.#copied() : undefined;
  }

  /**
   * Some entries, from record `from` on, and where to go on; no `next`: that was all. Others go on meanwhile: an entry
   * that comes or goes is there or not, and one that does both may be there twice, as it is now in a later slice.
   */
  entries(from: number): { entries: MacEntry[]; next: number | undefined } {
    const entries: MacEntry[] = [];
    const next = (record: number) => this.#datapath.exports.nextStation(record, this.#scratch) >>> 0;
    for (let record = next(from); record !== NONE; record = next(record + 1)) {
      entries.push(this.#copied());
      if (entries.length === SLICE) return { entries, next: record + 1 };
    }
    return { entries, next: undefined };
  }

  /** Removes what has not been heard for the ageing time. */
  expire(nowMs: number): void {
    this.#datapath.exports.expireStations(nowMs, this.#ageingMs);
  }

  /** Removes what was heard behind ports that `isGone` names. */
  forget(isGone: (port: number) => boolean): void {
    const { arena, u8, exports } = this.#datapath;
    for (let port = 0; port < arena.limits.ports; port++) u8[this.#scratch + port] = isGone(port) ? 1 : 0;
    exports.forgetStations(this.#scratch);
  }

  #copied(): MacEntry {
    const { u32, f64 } = this.#datapath;
    const key = (this.#scratch + Station.key) >> 2;
    const [macLow, vlanAndHigh] = [u32[key]!, u32[key + 1]!];
    return {
      vlan: vlanAndHigh >>> 16,
      mac: (vlanAndHigh & 0xffff) * 2 ** 32 + macLow,
      port: u32[(this.#scratch + Station.port) >> 2]!,
      heardMs: f64[(this.#scratch + Station.heardMs) >> 3]!,
    };
  }
}
