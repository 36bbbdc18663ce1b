/**
 * The handler: takes packets that no megaflow takes, walks the tables for them, installs what comes out,
 * and sends the packets on. It owns the tables and what NORMAL has learned; everybody else asks it.
 */
import { type Datapath, KEY_SIZE, NONE, RING_SLOTS, STAGE_INSTALL, STAGE_TRANSLATE } from '../datapath.ts';
import { MacTable } from '../table/mac.ts';
import { formatMegaflow } from '../table/megaflow.ts';
import type { BridgePort } from '../table/normal.ts';
import { Numbers } from '../table/numbers.ts';
import { type FlowFilter, parseChange, parseFilter, parseFlows, parseLines } from '../table/parse.ts';
import { printFlow, printRule } from '../table/print.ts';
import { Tables } from '../table/table.ts';
import { translate } from '../table/translate.ts';
import type { Frozen, Punt, Translation, TranslationContext } from '../table/translation.ts';
import { credit, Megaflows } from './megaflows.ts';
import type { HandlerOptions, HandlerReply, HandlerRequest, PortName } from './request.ts';

/** Packets that wait for another round or go to a controller do so in so many ways at most. */
const FROZEN_MAX = 65_535; // numbers have 16 bits in the flow key
const PUNTS_MAX = 65_536;

export class Handler {
  readonly #datapath: Datapath;
  #ports: ReadonlyMap<number, BridgePort> = new Map();
  #numbers: ReadonlyMap<string, number> = new Map();
  readonly #tables = new Tables();
  readonly #macs: MacTable;
  readonly #megaflows: Megaflows;
  readonly #punts = new Numbers<Punt>(PUNTS_MAX);
  readonly #frozen = new Numbers<Frozen>(FROZEN_MAX);
  readonly #key = new Uint8Array(KEY_SIZE);
  #portsGeneration = 0;
  #nowMs = 0;

  constructor(datapath: Datapath, options: HandlerOptions) {
    this.#datapath = datapath;
    this.#setPorts(options.ports);
    this.#macs = new MacTable(options.macs, options.macAgeingMs);
    this.#megaflows = new Megaflows(
      datapath,
      (translation, heardMs) => this.#learn(translation, heardMs),
      (key) => this.#translate(key, false),
    );
    this.#tables.add(parseFlows(options.flows, this.#numbers), 0);
  }

  /** What translations depend on; changes when any of it does. */
  get #generation(): number {
    return this.#tables.generation + this.#macs.generation + this.#portsGeneration;
  }

  #setPorts(ports: readonly PortName[]): void {
    this.#ports = new Map(
      ports.map(({ number, name, up, forMirrors = false }) => [
        number,
        { name, up, flooded: up && !forMirrors },
      ]),
    );
    this.#numbers = new Map(ports.map(({ number, name }) => [name, number]));
    this.#portsGeneration++;
  }

  /**
   * Ports have come, gone, or changed. Misses from before are worked off first, since their ports may have
   * other numbers after; what was learned behind a port that carries nothing any more is forgotten.
   */
  #changePorts(ports: readonly PortName[]): void {
    for (let i = 0; i < RING_SLOTS && this.round(this.#nowMs) > 0; i++);
    this.#megaflows.creditAll(); // the last that their senders are learned from
    this.#setPorts(ports);
    this.#macs.forget((port) => !this.#ports.get(port)?.up);
    this.#megaflows.revalidateAll(this.#generation, this.#nowMs);
  }

  /** Takes up to a batch of misses and punts and sees to the flows. Returns how much there was to do. */
  round(nowMs: number): number {
    this.#nowMs = nowMs;
    const { exports } = this.#datapath;
    this.#datapath.setClock(nowMs);
    this.#macs.expire(nowMs);
    const misses = exports.takeMisses();
    for (let i = 0; i < misses; i++) this.#handle(i);
    const punts = exports.puntCount();
    for (let i = 0; i < punts; i++) exports.endPunt(i, false);
    exports.flush();
    this.#megaflows.maintain(this.#generation, nowMs);
    exports.leave();
    exports.reclaim();
    return misses + punts + (this.#datapath.isHeldUp() ? 1 : 0);
  }

  /** When `round` has something to do though no packet missed. */
  dueMs(): number {
    return this.#megaflows.dueMs(this.#generation);
  }

  #handle(miss: number): void {
    const { exports } = this.#datapath;
    const there = exports.flowOfMiss(miss) >>> 0;
    if (there !== NONE) return exports.actByFlow(miss, there);
    // A copy: installing masks the key in place.
    this.#key.set(this.#datapath.key(miss));
    const beganMs = performance.now();
    const translation = this.#translate(this.#key, true);
    const translatedMs = performance.now();
    const { mask, program, rules, learned } = translation;
    const generation = this.#generation;
    for (const { flow } of learned) this.#tables.learn(flow, this.#nowMs);
    const number = this.#datapath.install(mask, this.#key, program);
    this.#datapath.noteStage(STAGE_INSTALL, 1, performance.now() - translatedMs);
    this.#datapath.noteStage(STAGE_TRANSLATE, 1, translatedMs - beganMs);
    if (number !== NONE) {
      this.#megaflows.add(number, this.#key, translation, generation, this.#nowMs);
      exports.actByFlow(miss, number);
    } else {
      credit(rules, 1, this.#datapath.lengthInBatch(miss));
      this.#datapath.actByProgram(miss, program);
    }
  }

  #translate(key: Uint8Array, learn: boolean): Translation {
    const context: TranslationContext = {
      tables: this.#tables,
      groups: new Map(),
      meters: new Map(),
      macs: this.#macs,
      ports: this.#ports,
      nowMs: this.#nowMs,
      learn,
      punt: (punt) => this.#punts.numberOf(punt),
      tally: () => undefined,
      freeze: (frozen) => this.#frozen.numberOf(frozen),
      thaw: (recirculation) => this.#frozen.get(recirculation),
    };
    return translate(key, context);
  }

  /** Learns again what a megaflow's packets tell, last heard at `heardMs`. */
  #learn({ senders, learned }: Translation, heardMs: number): void {
    for (const sender of senders) this.#macs.learn(sender, heardMs);
    for (const { flow } of learned) this.#tables.learn(flow, heardMs);
  }

  /** Has the same tables in the end as a handler that was asked all this. No packet is handled meanwhile. */
  replay(journal: readonly HandlerRequest[]): void {
    for (const request of journal) {
      if (request.command === 'ports') this.#setPorts(request.ports);
      else this.ask(request);
    }
  }

  /** Answers what control asks. A request that is wrong changes nothing and throws. */
  ask(request: HandlerRequest): HandlerReply {
    switch (request.command) {
      case 'add': {
        const flows = parseFlows(request.text, this.#numbers);
        this.#tables.add(flows, this.#nowMs);
        return this.#changed(flows.length, 'added');
      }
      case 'modify':
      case 'modify-strict': {
        const changes = parseLines(request.text, parseChange, this.#numbers);
        const strict = request.command === 'modify-strict';
        const modified = changes.map((change) => this.#tables.modify(change, strict, this.#nowMs));
        return this.#changed(sum(modified), 'modified');
      }
      case 'delete':
      case 'delete-strict': {
        const strict = request.command === 'delete-strict';
        const deleted = this.#filters(request.text).map((filter) => this.#tables.delete(filter, strict));
        return this.#changed(sum(deleted), 'deleted');
      }
      case 'ports':
        this.#changePorts(request.ports);
        return [];
      case 'dump':
        return this.#dump(request.text);
      case 'flows':
        this.#megaflows.creditAll();
        return this.#tables
          .dump()
          .map((rule) => ({ text: printFlow(rule, this.#ports), packets: rule.packets, bytes: rule.bytes }));
      case 'snapshot':
        return this.#snapshot();
      case 'megaflows':
        return this.#showMegaflows();
      case 'macs':
        return [...this.#macs.entries()].map(({ vlan, mac, port, heardMs }) => ({
          vlan,
          mac: formatMac(mac),
          port: this.#ports.get(port)?.name ?? String(port),
          ageSeconds: Math.max(this.#nowMs - heardMs, 0) / 1000,
        }));
    }
  }

  /** Megaflows follow the tables before whoever changed them is told. */
  #changed(flows: number, what: string): HandlerReply {
    this.#megaflows.revalidateAll(this.#generation, this.#nowMs);
    return [`${flows} flow${flows === 1 ? '' : 's'} ${what}`];
  }

  /** One a line; no text selects every flow. */
  #filters(text: string): FlowFilter[] {
    const filters = parseLines(text, parseFilter, this.#numbers);
    return filters.length > 0 ? filters : [parseFilter('')];
  }

  #dump(text: string): string[] {
    this.#megaflows.creditAll();
    const rules = new Set(this.#filters(text).flatMap((filter) => this.#tables.dump(filter)));
    return [...rules].map((rule) => printRule(rule, this.#nowMs, this.#ports));
  }

  #snapshot(): HandlerRequest[] {
    const flows = this.#tables.dump().map((rule) => printFlow(rule, this.#ports));
    return [
      { command: 'ports', ports: [...this.#ports].map(([number, port]) => ({ ...port, number })) },
      { command: 'delete', text: '' },
      { command: 'add', text: flows.join('\n') },
    ];
  }

  #showMegaflows(): HandlerReply {
    this.#megaflows.creditAll();
    return [...this.#megaflows.values()].map(({ number, translation, packets, bytes, usedMs }) => ({
      number,
      text: formatMegaflow(
        this.#datapath.flowKey(number),
        translation.mask,
        translation.program,
        this.#ports,
      ),
      packets,
      bytes,
      usedMs: this.#nowMs - usedMs,
    }));
  }
}

function formatMac(mac: number): string {
  return mac
    .toString(16)
    .padStart(12, '0')
    .replace(/..(?=.)/g, '$&:');
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
