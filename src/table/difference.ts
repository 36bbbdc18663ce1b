/** In which fields a packet differs from a flow, and which flows it nearly meets: for who asks why one did not apply. */
import { VLAN_PRESENT } from '../datapath.ts';
import type { TraceDifference, TraceFlow, TraceMiss } from '../model.ts';
import { swap16 } from './bytes.ts';
import { isBefore, isConjunctive } from './classifier.ts';
import { TCI_WORD } from './entry.ts';
import { FIELDS, type Field, fieldOf } from './fields.ts';
import { KEY_WORDS, Match } from './match.ts';
import { printMatch } from './print.ts';
import { meets } from './protocols.ts';
import type { Rule } from './rule.ts';
import { type PortNames, printMatchValue } from './values.ts';

/** Flows that are looked at in one walk: some milliseconds. */
const LOOKED_AT_MOST = 250_000;
/** Flows that are told of in a table. */
const TOLD_MOST = 3;
/** Words in which a packet may differ from a flow that it nearly meets. */
const WORDS_MOST = 2;

const ALL = new Uint32Array(KEY_WORDS).fill(0xffff_ffff);
const ETH_TYPE = fieldOf('eth_type');
const NW_PROTO = fieldOf('nw_proto');
const CONJUNCTION = fieldOf('conj_id').offset >> 2;
/** The tag, as a whole and by its parts. */
const TCI = fieldOf('vlan_tci');
const TAG_PARTS = ['dl_vlan', 'vlan_pcp'].map(fieldOf);
const COMPARED: readonly Field[] = [...FIELDS.filter(({ printed }) => printed), ...TAG_PARTS, TCI];
const PRESENT = swap16(VLAN_PRESENT);

export const flowRow = ({ match, priority, cookie }: Rule, names: PortNames): TraceFlow => ({
  match: printMatch(match, names),
  priority,
  cookie: `0x${cookie.toString(16)}`,
});

/**
 * The fields of a match in which a packet with these words differs. Where it is of another protocol, the fields that
 * only the flow's protocol has are left out.
 */
export function differencesOf(words: Uint32Array, match: Match, names: PortNames): TraceDifference[] {
  const packet = new Match(words, ALL);
  const differing = COMPARED.filter((field) => meets(field.requires, match) && differs(field, packet, match));
  const [isOtherType, isOtherProtocol] = [differing.includes(ETH_TYPE), differing.includes(NW_PROTO)];
  const isTold = ({ requires }: Field) =>
    !(isOtherType && requires) && !(isOtherProtocol && requires?.protocols);
  return tellTagOnce(differing, words, match)
    .filter(isTold)
    .map((field) => ({
      field: field.matchName,
      packet: printMatchValue(packet.get(field), field, names),
      flow: printMatchValue(match.get(field), field, names),
    }));
}

function differs(field: Field, packet: Match, match: Match): boolean {
  const [is, wanted] = [packet.get(field).value, match.get(field)];
  return wanted.mask.some((bits, i) => ((wanted.value[i]! ^ is[i]!) & bits) !== 0);
}

/** The whole tag where it is there for one of them alone, else those of its parts that differ. */
function tellTagOnce(fields: readonly Field[], words: Uint32Array, { value, mask }: Match): readonly Field[] {
  const isWhole = ((words[TCI_WORD]! ^ value[TCI_WORD]!) & mask[TCI_WORD]! & PRESENT) !== 0;
  const hasParts = fields.some((field) => TAG_PARTS.includes(field));
  return fields.filter((field) => (isWhole ? !TAG_PARTS.includes(field) : field !== TCI || !hasParts));
}

/** Finds near misses, for the look-ups of one walk. */
export class Misses {
  readonly #names: PortNames;
  #left = LOOKED_AT_MOST;

  constructor(names: PortNames) {
    this.#names = names;
  }

  /** The flows that would have been tried before `found` and that the packet nearly meets, the nearest first. */
  near(rules: readonly Rule[], words: Uint32Array, found: Rule | undefined): TraceMiss[] {
    const near: { rule: Rule; distance: number }[] = [];
    for (const rule of rules) {
      if ((found && !isBefore(rule, found)) || this.#left === 0) break;
      this.#left--;
      if (rule.match.mask[CONJUNCTION] !== 0 || isConjunctive(rule)) continue;
      const distance = wordsApart(rule.match, words);
      if (distance > 0 && distance <= WORDS_MOST) near.push({ rule, distance });
    }
    return near
      .sort((a, b) => a.distance - b.distance)
      .slice(0, TOLD_MOST)
      .map(({ rule }) => ({
        flow: flowRow(rule, this.#names),
        differences: differencesOf(words, rule.match, this.#names),
      }));
  }
}

function wordsApart({ words, value, mask }: Match, packet: Uint32Array): number {
  let apart = 0;
  for (const at of words) if (((packet[at]! ^ value[at]!) & mask[at]!) !== 0) apart++;
  return apart;
}
