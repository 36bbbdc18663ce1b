/**
 * What programs name by number: packet-ins, and states that packets wait in for another round. A megaflow keeps
 * the numbers that its program names and, when its packets come from another round, the one of their state.
 *
 * Numbers and what they stand for are the arena's (datapath/memory/names.ts), so that they are the same on all threads.
 * What a number stood for when this thread last looked it remembers, for as long as its serial is the same.
 */
import { type Datapath, NAME_PUNT, NAME_STATE, NONE } from '../datapath.ts';
import { decode, encode } from '../table/codec.ts';
import type { Frozen, Punt, TranslationContext } from '../table/translation.ts';

/** Steps of a sweep that one round does, of 64 numbers each: so all numbers take 64 rounds. */
const SWEEP_STEPS = 16;

/** How a translation comes by numbers. */
export type Naming = Pick<TranslationContext, 'punt' | 'freeze' | 'thaw'>;

/** Of punts, and of states: what the flow key has room for. */
const HIGHEST_NUMBER = 0xffff;

/** The numbers that one translation came by, each once. */
export interface Named {
  readonly punts: number[];
  readonly frozen: number[];
}

export class Names {
  readonly #datapath: Datapath;
  readonly #punts: NamesOfKind<Punt>;
  readonly #frozen: NamesOfKind<Frozen>;
  /** Of the translation under way. */
  #named: Named = { punts: [], frozen: [] };
  /** What every translation is given. */
  readonly context: Naming = {
    punt: (punt) => note(this.#named.punts, this.#punts.numberOf(punt)),
    freeze: (frozen) => note(this.#named.frozen, this.#frozen.numberOf(frozen)),
    thaw: (number) => {
      const frozen = this.#frozen.get(number);
      if (frozen) note(this.#named.frozen, number);
      return frozen;
    },
  };

  constructor(datapath: Datapath) {
    this.#datapath = datapath;
    this.#punts = new NamesOfKind(datapath, NAME_PUNT);
    this.#frozen = new NamesOfKind(datapath, NAME_STATE);
  }

  /** Another translation begins: the numbers that it will have come by. */
  begin(): Named {
    this.#named = { punts: [], frozen: [] };
    return this.#named;
  }

  /** What a translation that is only looked at is given; no number is given out. */
  preview(): Naming {
    const punts = this.#punts.preview();
    const frozen = this.#frozen.preview();
    return { punt: punts.numberOf, freeze: frozen.numberOf, thaw: frozen.get };
  }

  /** What a punted packet is; undefined when that is forgotten. */
  punt(number: number): Punt | undefined {
    return this.#punts.get(number);
  }

  /** Forgets, now and then, what has not been needed for a while. */
  maintain(): void {
    for (let step = 0; step < SWEEP_STEPS && this.#datapath.exports.sweepNames() > 0; step++);
  }
}

/** Notes a number, once, if there is one. */
function note(numbers: number[], number: number | undefined): number | undefined {
  if (number !== undefined && !numbers.includes(number)) numbers.push(number);
  return number;
}

class NamesOfKind<T> {
  readonly #datapath: Datapath;
  readonly #kind: number;
  readonly #known = new Map<number, { serial: number; thing: T }>();

  constructor(datapath: Datapath, kind: number) {
    this.#datapath = datapath;
    this.#kind = kind;
  }

  /** The number of a thing, from now on if it had none; undefined when there is no room. */
  numberOf(thing: T): number | undefined {
    const number = this.#datapath.internName(this.#kind, encode(thing));
    return number === NONE ? undefined : number;
  }

  /** The thing that has a number. */
  get(number: number): T | undefined {
    const serial = this.#serialOf(number);
    const known = this.#known.get(number);
    if (known?.serial === serial) return known.thing;
    const bytes = this.#datapath.readName(this.#kind, number);
    // One that was forgotten meanwhile may be something else by now.
    if (!bytes || this.#serialOf(number) !== serial) {
      this.#known.delete(number);
      return undefined;
    }
    const thing = decode(bytes) as T;
    this.#known.set(number, { serial, thing });
    return thing;
  }

  /** Numbers as they are, and for what has none others, as long as this lasts; the highest first. */
  preview(): { numberOf(thing: T): number; get(number: number): T | undefined } {
    const given = new Map<string, number>();
    const things = new Map<number, T>();
    return {
      numberOf: (thing) => {
        const name = encode(thing);
        const known = this.#datapath.findName(this.#kind, name);
        if (known !== NONE) return known;
        const text = Buffer.from(name).toString('latin1');
        const number = given.get(text) ?? HIGHEST_NUMBER - given.size;
        given.set(text, number);
        things.set(number, thing);
        return number;
      },
      get: (number) => things.get(number) ?? this.get(number),
    };
  }

  #serialOf(number: number): number {
    return this.#datapath.exports.nameSerial(this.#kind, number);
  }
}
