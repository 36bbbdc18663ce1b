/**
 * The handler: takes packets that no megaflow takes, walks the tables for them, installs what comes out,
 * and sends the packets on. It owns the tables and what NORMAL has learned; everybody else asks it.
 */
import {
  type Datapath,
  KEY_SIZE,
  NONE,
  Observer,
  RING_SLOTS,
  STAGE_INSTALL,
  STAGE_TRANSLATE,
} from '../datapath.ts';
import { parseConnectionFilter } from '../table/connection-filter.ts';
import { MacTable } from '../table/mac.ts';
import { formatMegaflow } from '../table/megaflow.ts';
import type { BridgePort } from '../table/normal.ts';
import { parseBundle } from '../table/parse-bundle.ts';
import { printFlow } from '../table/print.ts';
import type { Rule } from '../table/rule.ts';
import { Ruleset } from '../table/ruleset.ts';
import { translate } from '../table/translate.ts';
import type { Translation, TranslationContext } from '../table/translation.ts';
import { ConnectionEvents } from './connection-events.ts';
import { flushSlice, listSlice } from './connections.ts';
import { DatapathMeters } from './datapath-meters.ts';
import { puntEvent, removalEvent } from './events.ts';
import { listExpectations } from './expectations.ts';
import { credit, type Heard, Megaflows, type NamedTranslation } from './megaflows.ts';
import { Monitors } from './monitors.ts';
import { Names } from './names.ts';
import type { HandlerOptions, HandlerReply, HandlerRequest, PortName, RuleRequest } from './request.ts';
import { changesOf, type Facts, look, reportOf } from './rule-commands.ts';
import { Tallies } from './tallies.ts';
import { deleteLimits, limitRows, setLimits } from './zone-limits.ts';
import { deleteTimeouts, setTimeouts, timeoutRows } from './zone-timeouts.ts';

/** FIN and RST, as `Heard` has flags. */
const ENDS_CONNECTION = 0x0500;
/** Connections that one round looks after: some 70 us, so that misses do not wait for it. A million take 0.3 s. */
const SWEEP_STEPS = 256;

const ZONE_CHANGES = {
  limits: { set: setLimits, del: deleteLimits },
  timeouts: { set: setTimeouts, del: deleteTimeouts },
};

export class Handler {
  readonly #datapath: Datapath;
  #ports: ReadonlyMap<number, BridgePort> = new Map();
  #numbers: ReadonlyMap<string, number> = new Map();
  readonly #ruleset: Ruleset;
  readonly #macs: MacTable;
  readonly #megaflows: Megaflows;
  readonly #meters: DatapathMeters;
  readonly #tallies: Tallies;
  readonly #names = new Names();
  readonly #monitors = new Monitors();
  readonly #connectionEvents: ConnectionEvents;
  readonly #key = new Uint8Array(KEY_SIZE);
  #portsGeneration = 0;
  #nowMs = 0;

  constructor(datapath: Datapath, options: HandlerOptions) {
    this.#datapath = datapath;
    this.#setPorts(options.ports);
    this.#macs = new MacTable(options.macs, options.macAgeingMs);
    this.#ruleset = new Ruleset(options.rules);
    this.#meters = new DatapathMeters(datapath.arena);
    this.#tallies = new Tallies(new Observer(datapath.arena));
    this.#connectionEvents = new ConnectionEvents(datapath);
    this.#megaflows = new Megaflows(
      datapath,
      this.#names,
      (translation, heard) => this.#hear(translation, heard),
      (key) => this.#translate(key, false),
    );
    this.#ruleset.apply(parseBundle(options.flows, this.#numbers), 0);
    this.#meters.sync(this.#ruleset.meters);
  }

  /** What translations depend on; changes when any of it does. */
  get #generation(): number {
    return this.#ruleset.generation + this.#macs.generation + this.#portsGeneration;
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
    for (let i = 0; i < punts; i++) exports.endPunt(i, this.#deliver(i));
    exports.flush();
    this.#names.maintain(nowMs);
    const creditedMs = this.#megaflows.maintain(this.#generation, this.#ruleset.tables.expiryMs, nowMs);
    if (creditedMs !== undefined) this.#expire(creditedMs);
    this.#reportRemovals();
    const swept = exports.sweep(SWEEP_STEPS) + exports.sweepFragments();
    const events = this.#connectionEvents.drain();
    exports.leave();
    exports.reclaim();
    return misses + punts + swept + events + (this.#datapath.isHeldUp() ? 1 : 0);
  }

  /** When `round` has something to do though no packet missed. */
  dueMs(): number {
    const forFlowsMs = this.#megaflows.dueMs(this.#generation, this.#ruleset.tables.expiryMs);
    const { exports } = this.#datapath;
    return Math.min(forFlowsMs, exports.sweepDueMs(), exports.fragmentsDueMs());
  }

  /** Nothing more comes in: what waits for more waits in vain. */
  close(): void {
    this.#datapath.exports.dropAllFragments();
  }

  /** Rules that were not used until `creditedMs` may have expired; their megaflows go at once. */
  #expire(creditedMs: number): void {
    const expired = this.#ruleset.tables.expire(creditedMs);
    if (expired.length > 0) this.#megaflows.removeUsersOf(new Set(expired));
  }

  /** Tells whoever watches of punt `i`; false when nobody does. */
  #deliver(i: number): boolean {
    if (!this.#monitors.areThere) return false;
    const frame = this.#datapath.punt(i);
    const punt = this.#names.punt(frame.index);
    if (!punt) return false;
    return this.#monitors.tell(puntEvent(punt, frame, this.#datapath.puntKey(i), this.#ports, this.#nowMs));
  }

  /** Tells whoever watches of flows that went. Their megaflows are gone as well, but for those evicted. */
  #reportRemovals(): void {
    for (const removal of this.#ruleset.tables.takeRemovals()) {
      if (this.#monitors.areThere) this.#monitors.tell(removalEvent(removal, this.#ports, this.#nowMs));
    }
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
    const { mask, program, rules } = translation;
    const generation = this.#generation;
    this.#addLearned(translation, this.#nowMs);
    const number = this.#datapath.install(mask, this.#key, program);
    this.#datapath.noteStage(STAGE_INSTALL, 1, performance.now() - translatedMs);
    this.#datapath.noteStage(STAGE_TRANSLATE, 1, translatedMs - beganMs);
    if (number !== NONE) {
      this.#megaflows.add(number, this.#key, translation, generation, this.#nowMs);
      exports.actByFlow(miss, number);
    } else {
      credit(rules, 1, this.#datapath.lengthInBatch(miss), this.#nowMs);
      this.#datapath.actByProgram(miss, program);
    }
  }

  #translate(key: Uint8Array, learn: boolean): NamedTranslation {
    const { named, context: naming } = this.#names.forTranslation();
    const context: TranslationContext = {
      tables: this.#ruleset.tables,
      groups: this.#ruleset.groups,
      meters: this.#meters,
      macs: this.#macs,
      ports: this.#ports,
      nowMs: this.#nowMs,
      learn,
      tally: (group, bucket) => this.#tallies.numberOf(group, bucket),
      ...naming,
    };
    return { ...translate(key, context), named };
  }

  /** Learns again what a megaflow's packets tell, and ends what they end. */
  #hear(translation: Translation, { usedMs, tcpFlags }: Heard): void {
    for (const sender of translation.senders) this.#macs.learn(sender, usedMs);
    this.#addLearned(translation, usedMs);
    if ((tcpFlags & ENDS_CONNECTION) !== 0) this.#shorten(translation.rules);
  }

  /** A connection has ended: rules with `fin_timeout` that its packets took have less time from now on. */
  #shorten(rules: readonly Rule[]): void {
    for (const rule of rules) {
      for (const action of rule.actions) {
        if (action.kind !== 'finTimeout') continue;
        this.#ruleset.tables.shorten(rule, action.idleTimeoutS, action.hardTimeoutS);
      }
    }
  }

  #addLearned({ learned }: Translation, heardMs: number): void {
    for (const { flow, action } of learned) this.#ruleset.tables.learn(flow, action.limit, heardMs);
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
    this.#nowMs = Math.max(this.#nowMs, this.#datapath.nowMs);
    switch (request.command) {
      case 'rules':
        return this.#askRules(request);
      case 'watch':
        return this.#monitors.take(request.monitor);
      case 'unwatch':
        this.#monitors.end(request.monitor);
        this.#connectionEvents.end(request.monitor);
        return [];
      case 'events':
        return this.#connectionEvents.take(request.monitor, request.filter);
      case 'connections':
        return listSlice(this.#datapath, request.from, parseConnectionFilter(request.filter));
      case 'flush':
        return flushSlice(this.#datapath, request.from, parseConnectionFilter(request.filter));
      case 'expectations':
        return listExpectations(this.#datapath);
      case 'limits':
        return limitRows(this.#datapath);
      case 'timeouts':
        return timeoutRows(this.#datapath);
      case 'changeZones':
        return ZONE_CHANGES[request.setting][request.action](this.#datapath, request.text);
      case 'sequenceChecking':
        return this.#askSequenceChecking(request.on);
      case 'ports':
        this.#changePorts(request.ports);
        return [];
      case 'flows':
        this.#megaflows.creditAll();
        return this.#ruleset.tables
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

  #askSequenceChecking(on: boolean | undefined): string[] {
    const { exports } = this.#datapath;
    if (on !== undefined) exports.setSequenceChecking(on);
    return [`sequence checking is ${exports.checksSequence() ? 'on' : 'off'}`];
  }

  /** Megaflows follow the rules before whoever changed them is told. */
  #askRules(request: RuleRequest): string[] {
    this.#megaflows.creditAll();
    const facts = this.#facts();
    const changes = changesOf(request, facts);
    if (!changes) return look(request, facts);
    const done = this.#ruleset.apply(changes, this.#nowMs);
    this.#meters.sync(this.#ruleset.meters);
    this.#tallies.sync(this.#ruleset.groups);
    this.#megaflows.revalidateAll(this.#generation, this.#nowMs);
    this.#reportRemovals();
    return reportOf(done);
  }

  #facts(): Facts {
    return {
      ruleset: this.#ruleset,
      tallies: this.#tallies,
      meters: this.#meters,
      names: this.#ports,
      numbers: this.#numbers,
      nowMs: this.#nowMs,
    };
  }

  /** What a handler that has just started is to be asked, to have what this one has. */
  #snapshot(): HandlerRequest[] {
    const rules = this.#ruleset.snapshot(this.#nowMs, this.#ports);
    const text = ['flow delete', 'group delete', 'meter delete', ...rules].join('\n');
    return [
      { command: 'ports', ports: [...this.#ports].map(([number, port]) => ({ ...port, number })) },
      { command: 'rules', kind: 'flows', action: 'bundle', text },
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
