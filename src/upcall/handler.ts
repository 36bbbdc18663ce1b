/**
 * A handler: takes packets that no megaflow takes, walks the tables for them, installs what comes out, and sends the
 * packets on. The first handler also looks after connections and fragments, and answers for what is in the arena.
 */
import {
  type Datapath,
  EFFECT_KIND,
  EFFECT_NUMBER,
  EFFECT_RULE,
  Key,
  MOST_EFFECTS,
  NONE,
  RING_SLOTS,
  STAGE_ACT,
  STAGE_INSTALL,
  STAGE_PARSE,
  STAGE_TRANSLATE,
} from '../datapath.ts';
import type { TraceQuestion } from '../model.ts';
import { parseConnectionFilter } from '../table/connection-filter.ts';
import type { TableChange } from './change.ts';
import { ConnectionEvents } from './connection-events.ts';
import { flushSlice, listSlice } from './connections.ts';
import { puntEvent } from './events.ts';
import { listExpectations } from './expectations.ts';
import { macSlice } from './macs.ts';
import { megaflowSlice } from './megaflows.ts';
import { Monitors } from './monitors.ts';
import type { HandlerReply, HandlerRequest } from './request.ts';
import type { Slow } from './slow.ts';
import { type TraceReply, trace } from './trace.ts';
import { deleteLimits, limitRows, setLimits } from './zone-limits.ts';
import { deleteTimeouts, setTimeouts, timeoutRows } from './zone-timeouts.ts';

/** Connections that one round looks after: some 70 us, so that misses do not wait for it. A million take 0.3 s. */
const SWEEP_STEPS = 256;

const ZONE_CHANGES = {
  limits: { set: setLimits, del: deleteLimits },
  timeouts: { set: setTimeouts, del: deleteTimeouts },
};

export class Handler {
  readonly #slow: Slow;
  readonly #datapath: Datapath;
  readonly #isFirst: boolean;
  readonly #monitors = new Monitors();
  readonly #connectionEvents: ConnectionEvents;
  /** What was learned when revalidators were last woken for it. */
  #learned = 0;
  #nowMs = 0;

  constructor(slow: Slow, isFirst: boolean) {
    this.#slow = slow;
    this.#datapath = slow.datapath;
    this.#isFirst = isFirst;
    this.#connectionEvents = new ConnectionEvents(slow.datapath);
  }

  /**
   * Goes by the changed tables from now on. Before ports change, misses from before are worked off, since their ports
   * may have other numbers after; what was learned behind a port that carries nothing any more is forgotten.
   */
  follow(change: TableChange): void {
    const { replica, macs } = this.#slow;
    if (!change.ports) return replica.follow(change);
    for (let i = 0; i < RING_SLOTS && this.round(this.#nowMs) > 0; i++);
    replica.follow(change);
    macs.forget((port) => !replica.ports.get(port)?.up);
  }

  /** Takes up to a batch of misses and punts. Returns how much there was to do. */
  round(nowMs: number): number {
    this.#nowMs = nowMs;
    const { exports } = this.#datapath;
    this.#datapath.setClock(nowMs);
    const misses = this.#takeMisses();
    for (let i = 0; i < misses; i++) this.#handle(i);
    if (misses > 0) this.#wakeRevalidators();
    const punts = exports.puntCount();
    for (let i = 0; i < punts; i++) exports.endPunt(i, this.#deliver(i));
    exports.flush();
    exports.noteDone();
    const rest = this.#isFirst ? this.#lookAfterConnections() : 0;
    exports.leave();
    exports.reclaim();
    return misses + punts + rest + (this.#datapath.isHeldUp() ? 1 : 0);
  }

  #takeMisses(): number {
    const beganMs = performance.now();
    const misses = this.#datapath.exports.takeMisses();
    if (misses > 0) this.#datapath.noteStage(STAGE_PARSE, misses, performance.now() - beganMs);
    return misses;
  }

  /** Flows may have to follow what was learned. */
  #wakeRevalidators(): void {
    const { generation } = this.#slow.macs;
    if (generation === this.#learned) return;
    this.#learned = generation;
    this.#datapath.exports.ringRevalidators();
  }

  #lookAfterConnections(): number {
    const { exports } = this.#datapath;
    return exports.sweep(SWEEP_STEPS) + exports.sweepFragments() + this.#connectionEvents.drain();
  }

  /** When `round` has something to do though no packet missed. */
  dueMs(): number {
    const { exports } = this.#datapath;
    return this.#isFirst
      ? Math.min(exports.sweepDueMs(), exports.fragmentsDueMs())
      : Number.POSITIVE_INFINITY;
  }

  /** Nothing more comes in: what waits for more waits in vain. */
  close(): void {
    if (this.#isFirst) this.#datapath.exports.dropAllFragments();
  }

  /** Tells whoever watches of punt `i`; false when nobody does. */
  #deliver(i: number): boolean {
    if (!this.#monitors.areThere) return false;
    const frame = this.#datapath.punt(i);
    const { names, replica } = this.#slow;
    const punt = names.punt(frame.index);
    if (!punt) return false;
    return this.#monitors.tell(puntEvent(punt, frame, this.#datapath.puntKey(i), replica.ports, this.#nowMs));
  }

  #handle(miss: number): void {
    const { exports } = this.#datapath;
    const there = exports.flowOfMiss(miss) >>> 0;
    if (there !== NONE) return exports.actByFlow(miss, there);
    const key = this.#datapath.key(miss);
    const beganMs = performance.now();
    const translated = this.#slow.translator.translate(key, this.#nowMs, true);
    const translatedMs = performance.now();
    const told = this.#slow.translator.toldBy(translated, tcpFlagsOf(key), this.#nowMs);
    if (told) this.#slow.tell(told);
    const { mask, program, about } = translated;
    const number =
      about.effects.length > MOST_EFFECTS ? NONE : this.#datapath.install(mask, key, program, about);
    const installedMs = performance.now();
    if (number !== NONE) exports.actByFlow(miss, number);
    else {
      this.#credit(about.effects, this.#datapath.lengthInBatch(miss));
      this.#datapath.actByProgram(miss, program);
    }
    this.#datapath.noteStage(STAGE_ACT, 1, performance.now() - installedMs);
    this.#datapath.noteStage(STAGE_INSTALL, 1, installedMs - translatedMs);
    this.#datapath.noteStage(STAGE_TRANSLATE, 1, translatedMs - beganMs);
  }

  /** Credits the rules that a packet took which no flow counts. */
  #credit(effects: Uint32Array, bytes: number): void {
    for (const effect of effects) {
      if (effect >>> EFFECT_KIND !== EFFECT_RULE) return;
      this.#datapath.exports.creditPackets(effect & EFFECT_NUMBER, 1, bytes, this.#nowMs);
    }
  }

  /** Answers what control asks. A request that is wrong changes nothing and throws. */
  ask(request: HandlerRequest): HandlerReply {
    this.#nowMs = Math.max(this.#nowMs, this.#datapath.nowMs);
    switch (request.command) {
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
      case 'megaflows':
        return megaflowSlice(this.#datapath, this.#slow.replica.ports, request.from, this.#nowMs);
      case 'trace':
        return this.#trace(request.question);
      case 'macs':
        return macSlice(this.#slow.macs, this.#slow.replica.ports, request.from, this.#nowMs);
    }
  }

  #trace(question: TraceQuestion): TraceReply {
    this.#datapath.setClock(this.#nowMs);
    const { translator, replica } = this.#slow;
    const numbers = new Map([...replica.ports].map(([number, { name }]) => [name, number]));
    return trace(question, translator.previewContext(this.#nowMs), numbers, this.#datapath);
  }

  #askSequenceChecking(on: boolean | undefined): string[] {
    const { exports } = this.#datapath;
    if (on !== undefined) exports.setSequenceChecking(on);
    return [`sequence checking is ${exports.checksSequence() ? 'on' : 'off'}`];
  }
}

/** Network order, read as little-endian, as a flow's counters have them. */
const tcpFlagsOf = (key: Uint8Array): number => key[Key.tcpFlags]! | (key[Key.tcpFlags + 1]! << 8);
