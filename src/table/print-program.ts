/**
 * Prints action programs in the style of `ovs-appctl dpctl/dump-flows`. Programs inside others stand in brackets:
 *
 *     set(eth(dst=00:00:00:00:00:02)),2,clone(push_vlan(vid=5,pcp=0),3)
 */
import {
  OP_CLONE,
  OP_CONTROLLER,
  OP_CT,
  OP_CT_CLEAR,
  OP_CT_LABEL,
  OP_CT_NAT,
  OP_DROP,
  OP_END,
  OP_METER,
  OP_OUTPUT,
  OP_POP_MPLS,
  OP_POP_VLAN,
  OP_PUSH_MPLS,
  OP_PUSH_VLAN,
  OP_RECIRCULATE,
  OP_SAMPLE,
  OP_SELECT,
  OP_SET,
  OP_TALLY,
  OP_TRUNCATE,
} from '../datapath.ts';
import { toNumber } from './bytes.ts';
import { printCtWords, printNatWords } from './ct.ts';
import { KEY_WORDS, Match } from './match.ts';
import { printGroups, printTags } from './print-key.ts';
import type { PacketKind } from './protocols.ts';
import { type PortNames, printPort } from './values.ts';

const hex = (value: number): string => `0x${value.toString(16)}`;

function printPushVlan(word: number): string {
  const tpid = word >>> 16;
  const outer = tpid === 0x8100 ? '' : `tpid=${hex(tpid)},`;
  return `push_vlan(${outer}vid=${word & 0xfff},pcp=${(word >> 13) & 7})`;
}

const printLabel = (words: Uint32Array): string => `0x${toNumber(new Uint8Array(words.buffer)).toString(16)}`;

function printPushMpls(ethType: number, entry: number): string {
  const parts = `label=${entry >>> 12},tc=${(entry >>> 9) & 7},ttl=${entry & 0xff},bos=${(entry >>> 8) & 1}`;
  return `push_mpls(${parts},eth_type=${hex(ethType)})`;
}

class Printer {
  readonly #program: Uint32Array;
  readonly #ports: PortNames;
  #at = 0;

  constructor(program: Uint32Array, ports: PortNames) {
    this.#program = program;
    this.#ports = ports;
  }

  /** The program that stands here, up to its end. Settings that follow one another are printed together. */
  print(kind: PacketKind): string {
    const printed: string[] = [];
    let ethType = kind.ethType;
    for (;;) {
      if (this.#program[this.#at] === OP_SET) printed.push(...this.#printSets({ ...kind, ethType }));
      const operation = this.#next();
      if (operation === OP_END) return printed.join(',');
      printed.push(this.#printOperation(operation, { ...kind, ethType }));
      if (operation === OP_PUSH_MPLS) ethType = this.#program[this.#at - 2];
      if (operation === OP_POP_MPLS) ethType = this.#program[this.#at - 1];
    }
  }

  #next(): number {
    return this.#program[this.#at++]!;
  }

  #take(words: number): Uint32Array {
    this.#at += words;
    return this.#program.slice(this.#at - words, this.#at);
  }

  #printSets(kind: PacketKind): string[] {
    const [value, mask] = [new Uint32Array(KEY_WORDS), new Uint32Array(KEY_WORDS)];
    while (this.#program[this.#at] === OP_SET) {
      this.#at++;
      const word = this.#next() >> 2;
      value[word] = this.#next();
      mask[word] = this.#next();
    }
    const set = new Match(value, mask);
    return [...printTags(set), ...printGroups(set, kind)].map((group) => `set(${group})`);
  }

  #printOperation(operation: number, kind: PacketKind): string {
    switch (operation) {
      case OP_OUTPUT:
        return printPort(this.#next(), this.#ports);
      case OP_PUSH_VLAN:
        return printPushVlan(this.#next());
      case OP_POP_VLAN:
        return 'pop_vlan';
      case OP_PUSH_MPLS:
        return printPushMpls(this.#next(), this.#next());
      case OP_POP_MPLS:
        return `pop_mpls(eth_type=${hex(this.#next())})`;
      case OP_DROP:
        this.#at++;
        return 'drop';
      case OP_TRUNCATE:
        return `trunc(${this.#next()})`;
      case OP_METER:
        return `meter(${this.#next()})`;
      case OP_TALLY:
        return `tally(${this.#next()})`;
      case OP_CONTROLLER:
        return `controller(${this.#next()})`;
      case OP_RECIRCULATE:
        return `recirc(${hex(this.#next())})`;
      case OP_CT:
      case OP_CT_LABEL:
      case OP_CT_NAT:
        return this.#printCt(operation, kind);
      case OP_CT_CLEAR:
        return 'ct_clear';
      case OP_CLONE:
        return `clone(${this.print(kind)})`;
      case OP_SAMPLE: {
        const share = ((this.#next() / 0xffff_ffff) * 100).toFixed(1);
        return `sample(sample=${share}%,actions(${this.print(kind)}))`;
      }
      case OP_SELECT:
        return this.#printSelect(kind);
      default:
        throw new Error(`operation ${operation} in a program`);
    }
  }

  /** OP_CT with what stands before it for it. */
  #printCt(first: number, { ethType }: PacketKind): string {
    const more: { label?: string; nat?: string } = {};
    for (let operation = first; operation !== OP_CT; operation = this.#next()) {
      if (operation === OP_CT_LABEL) more.label = `${printLabel(this.#take(4))}/${printLabel(this.#take(4))}`;
      else more.nat = printNatWords(this.#take(10), ethType);
    }
    return printCtWords(this.#take(4), more);
  }

  #printSelect(kind: PacketKind): string {
    const basis = this.#next();
    const heads = Array.from({ length: this.#next() }, () => `id=${this.#next()},weight=${this.#next()}`);
    const buckets = heads.map((head) => `bucket(${head},actions(${this.print(kind)}))`);
    return `select(basis=${basis},${buckets.join(',')})`;
  }
}

/**
 * A program as text.
 * @param kind of packet that it is for
 * @param ports their names; a port that is not among them is printed by number
 */
export function printProgram(program: Uint32Array, kind: PacketKind, ports: PortNames): string {
  const { ethType, nwProto, icmpType, hasConnection } = kind;
  return new Printer(program, ports).print({ ethType, nwProto, icmpType, hasConnection });
}
