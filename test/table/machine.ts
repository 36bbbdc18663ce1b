/**
 * The real thing: a datapath with a handler that translates what misses and installs it, in one JavaScript
 * thread. It notes what becomes of each packet.
 */
import assert from 'node:assert/strict';
import { NONE } from '../../src/datapath.ts';
import type { Flow } from '../../src/table/parse.ts';
import { translate } from '../../src/table/translate.ts';
import type { Translation } from '../../src/table/translation.ts';
import { Rig } from '../support/rig.ts';
import type { TestContext } from './context.ts';
import type { Outcome } from './naive.ts';

interface Installed {
  readonly number: number;
  readonly key: Uint8Array;
  readonly translation: Translation;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const isSame = (a: Uint32Array, b: Uint32Array): boolean =>
  a.length === b.length && a.every((value, i) => value === b[i]);

export class Machine {
  readonly rig = new Rig({ flows: 2048, frames: 2048 });
  readonly #context: TestContext;
  #flows: Installed[] = [];
  #learned: Flow[] = [];
  /** Packets that found a flow, and flows that were checked and stayed. */
  hits = 0;
  kept = 0;

  constructor(context: TestContext) {
    this.#context = context;
    this.rig.open(...context.ports.keys());
  }

  /** A packet comes in. */
  take(port: number, packet: Uint8Array): Outcome {
    const { rig } = this;
    const before = rig.observer.totals();
    const tallies = this.#tallies();
    this.#learned = [];
    rig.receive(port, [packet]);
    const sent: string[] = [];
    const punts: Outcome['punts'] = [];
    const transmit = () => {
      for (const datapath of [rig.handler, rig.datapath]) {
        if (datapath === rig.datapath) datapath.exports.collect();
        for (const [to, packets] of rig.transmit(datapath))
          sent.push(...packets.map((bytes) => `${to} ${hex(bytes)}`));
      }
    };
    let misses = 0;
    for (;;) {
      const { handler } = rig;
      transmit();
      const n = handler.exports.takeMisses();
      const m = handler.exports.puntCount();
      if (n + m === 0) break;
      for (let i = 0; i < m; i++) {
        const { index, bytes } = handler.punt(i);
        punts.push({ punt: this.#context.punts.get(index)!, bytes: hex(bytes) });
        handler.exports.endPunt(i, true);
      }
      for (let i = 0; i < n; i++) this.#miss(i);
      misses += n;
    }
    if (misses === 0) this.hits++;
    const { dropped } = rig.observer.totals();
    const reasons = Object.keys(dropped).filter((name) => dropped[name]! > (before.dropped[name] ?? 0));
    const counted = this.#tallies().flatMap(([name, packets], i) =>
      Array<string>(packets - (tallies[i]?.[1] ?? 0)).fill(name),
    );
    return { sent, punts, tallies: counted, learned: this.#learned, reason: reasons[0] };
  }

  /** The tables have changed: flows are translated again, and stay when they are still right. */
  revalidate(): void {
    const { handler } = this.rig;
    this.#flows = this.#flows.filter(({ number, key, translation: { mask, program } }) => {
      const fresh = translate(key, this.#context);
      const isWithin = fresh.mask.every((bits, i) => (bits & ~mask[i]!) === 0);
      const stays = isWithin && isSame(fresh.program, program);
      if (stays) this.kept++;
      else handler.exports.remove(number);
      return stays;
    });
    this.rig.reclaim();
  }

  /** Removes all flows. */
  clear(): void {
    for (const { number } of this.#flows) this.rig.handler.exports.remove(number);
    this.#flows = [];
    this.rig.reclaim();
  }

  #miss(i: number): void {
    const { handler } = this.rig;
    const there = handler.exports.flowOfMiss(i) >>> 0;
    if (there !== NONE) return handler.exports.actByFlow(i, there);
    const key = handler.key(i).slice();
    const translation = translate(key, this.#context);
    this.#learned.push(...translation.learned.map(({ flow }) => flow));
    const number = handler.install(translation.mask, key, translation.program);
    assert.notEqual(number, NONE, 'no room for a flow');
    this.#flows.push({ number, key, translation });
    handler.exports.actByFlow(i, number);
  }

  #tallies(): [string, number][] {
    const { tallies } = this.#context;
    const counted: [string, number][] = [];
    for (let i = 1; tallies.get(i); i++) {
      const { group, bucket } = tallies.get(i)!;
      counted.push([`${group} ${bucket}`, Number(this.rig.observer.tally(i).packets)]);
    }
    return counted;
  }
}
