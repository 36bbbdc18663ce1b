/**
 * A policy's flows in the tables of the slow path, with a stand-in for ct(): a packet says itself what state its
 * connection is in, and ct() only does to it what the translation of a new connection would.
 */
import { parseConfig } from '../../src/control/config.ts';
import { formatMegaflow } from '../../src/table/megaflow.ts';
import { parseFlows } from '../../src/table/parse.ts';
import { Tables } from '../../src/table/tables.ts';
import { translate } from '../../src/table/translate.ts';
import { NaiveMacs } from '../support/naive-macs.ts';
import { contextOf } from '../table/context.ts';
import { keyOf } from '../table/packets.ts';

/** The flows that a configuration's policy becomes, one an item. */
export const compiled = (text: string): string[] => parseConfig('box.yaml', text, () => []).flows.split('\n');

/** What ct() does to the first packet of a connection. */
function standIn(flow: string): string {
  return flow
    .replace(/ct\(table=(\d+),zone=1(,nat)?\)/, 'resubmit(,$1)')
    .replace(/ct\(commit,zone=1,nat\(src=([\d.]+)[^)]*\)\)/, 'mod_nw_src:$1')
    .replace(/ct\(commit,zone=1,nat\(dst=([\d.]+):(\d+)\)\)/, 'mod_nw_dst:$1,mod_tp_dst:$2')
    .replace(/ct\(commit,zone=1,nat\(dst=([\d.]+)\)\)/, 'mod_nw_dst:$1')
    .replace(/ct\(commit,zone=1\),/, '');
}

export class Box {
  readonly #tables = new Tables();
  readonly #names: Map<number, { name: string; up: boolean }>;

  constructor(text: string) {
    const { ports } = parseConfig('box.yaml', text, () => []);
    this.#names = new Map(ports.map(({ name, number }) => [number, { name, up: true }]));
    const numbers = new Map(ports.map(({ name, number }) => [name, number]));
    this.#tables.add(parseFlows(compiled(text).map(standIn).join('\n'), numbers), 0);
  }

  /** What becomes of a packet, written as a match; `in_port` goes by name. Addresses are learned from it. */
  send(packet: string): string {
    const named = packet.replace(/in_port=([\w-]+)/, (_, name) => `in_port=${this.#numberOf(name)}`);
    const key = keyOf(named);
    const context = contextOf({
      tables: this.#tables,
      macs: new NaiveMacs(16, 300_000),
      ports: this.#names,
      learn: true,
    });
    const { mask, program, learned } = translate(key, context);
    for (const { flow, action } of learned) this.#tables.learn(flow, action.limit, 0);
    return formatMegaflow(key, mask, program, this.#names).replace(/.*, actions:/, '');
  }

  #numberOf(name: string): number {
    return [...this.#names].find(([, port]) => port.name === name)![0];
  }
}
