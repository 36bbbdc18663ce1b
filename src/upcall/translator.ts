/**
 * Translates keys by the tables as this thread has them: what handlers do with misses, and revalidators to bring
 * flows up to date. Beside the megaflow comes what its life record is to know: its effects (datapath/flow/effects.ts)
 * and what the translation rests on.
 */
import {
  EFFECT_KIND,
  EFFECT_PUNT,
  EFFECT_RULE,
  EFFECT_SENDER,
  EFFECT_STATE,
  type FlowAbout,
  LIFE_NORMAL,
  LIFE_TELLS,
} from '../datapath.ts';
import type { Sighting } from '../table/mac.ts';
import type { Rule } from '../table/rule.ts';
import { translate } from '../table/translate.ts';
import type { Translation, TranslationContext } from '../table/translation.ts';
import type { MacTable } from './mac-table.ts';
import type { Named, Names } from './names.ts';
import type { Replica } from './replica.ts';
import type { Told } from './told.ts';

export interface Translated extends Translation {
  readonly about: FlowAbout;
}

/** FIN and RST, as a flow's counters and its key have flags. */
const ENDS_CONNECTION = 0x0500;

const endsWithConnection = ({ actions }: Rule): boolean => actions.some(({ kind }) => kind === 'finTimeout');

/** Of the present translation. */
interface UnderWay {
  nowMs: number;
  learn: boolean;
  /** Of the learned addresses. */
  generation: number;
  isNormal: boolean;
}

export class Translator {
  readonly #replica: Replica;
  readonly #macs: MacTable;
  readonly #names: Names;
  readonly #firstMiss: number;
  readonly #underWay: UnderWay = { nowMs: 0, learn: false, generation: 0, isNormal: false };
  /** What every translation is given: made once, for most take little longer than that. */
  readonly #context: TranslationContext;

  /** @param firstMiss the number under which packets are counted for which table 0 had no rule */
  constructor(replica: Replica, macs: MacTable, names: Names, firstMiss: number) {
    this.#firstMiss = firstMiss;
    this.#replica = replica;
    this.#macs = macs;
    this.#names = names;
    this.#context = this.#makeContext();
  }

  #makeContext(): TranslationContext {
    const [replica, macs, underWay] = [this.#replica, this.#macs, this.#underWay];
    return {
      tables: replica,
      groups: replica.groups,
      meters: replica.meters,
      macs: {
        learn: (sighting, heardMs) => {
          const before = macs.generation;
          macs.learn(sighting, heardMs);
          // What it learned itself it knows; what others learned meanwhile, perhaps not.
          if (before === underWay.generation && macs.generation === before + 1) {
            underWay.generation = before + 1;
          }
        },
        lookup: (vlan, mac) => {
          underWay.isNormal = true;
          return macs.lookup(vlan, mac);
        },
      },
      get ports() {
        return replica.ports;
      },
      get nowMs() {
        return underWay.nowMs;
      },
      get learn() {
        return underWay.learn;
      },
      tally: (group, bucket) => replica.tallyOf(group, bucket),
      ...this.#names.context,
    };
  }

  /** @param learn whether the packet's sender is learned */
  translate(key: Uint8Array, nowMs: number, learn: boolean): Translated {
    const underWay = this.#underWay;
    underWay.nowMs = nowMs;
    underWay.learn = learn;
    underWay.generation = this.#macs.generation;
    underWay.isNormal = false;
    const named = this.#names.begin();
    const { mask, program, rules, missed, senders, learned } = translate(key, this.#context);
    const tells = learned.length > 0 || rules.some(endsWithConnection);
    return {
      mask,
      program,
      rules,
      missed,
      senders,
      learned,
      about: {
        version: this.#replica.version,
        learned: underWay.generation,
        flags: (underWay.isNormal ? LIFE_NORMAL : 0) | (tells ? LIFE_TELLS : 0),
        effects: this.#effects(rules, missed, named, senders),
      },
    };
  }

  /** For a translation that is only looked at: nothing is learned, and no number given out. */
  previewContext(nowMs: number): TranslationContext {
    const { ports } = this.#replica;
    return { ...this.#context, ports, macs: this.#macs, nowMs, learn: false, ...this.#names.preview() };
  }

  /** What packets tell that took this way, the last of them at `heardMs`; undefined: nothing. */
  toldBy({ learned, rules }: Translation, tcpFlags: number, heardMs: number): Told | undefined {
    const ended = (tcpFlags & ENDS_CONNECTION) === 0 ? [] : rules.filter(endsWithConnection);
    if (learned.length + ended.length === 0) return undefined;
    return {
      learned: learned.map(({ flow, action }) => ({ flow, limit: action.limit, heardMs })),
      ended: ended.map((rule) => this.#replica.numberOf(rule)),
    };
  }

  #effects(
    rules: readonly Rule[],
    missed: readonly number[],
    named: Named,
    senders: readonly Sighting[],
  ): Uint32Array {
    const words: number[] = [];
    const add = (kind: number, number: number) => words.push(((kind << EFFECT_KIND) | number) >>> 0);
    for (const rule of rules) add(EFFECT_RULE, this.#replica.numberOf(rule));
    for (const table of missed) add(EFFECT_RULE, this.#firstMiss + table);
    for (const number of named.punts) add(EFFECT_PUNT, number);
    for (const number of named.frozen) add(EFFECT_STATE, number);
    for (const { vlan, mac, port } of senders) {
      add(EFFECT_SENDER, port);
      words.push(((vlan << 16) | Math.floor(mac / 2 ** 32)) >>> 0, mac >>> 0);
    }
    return new Uint32Array(words);
  }
}
