/**
 * Traces one packet: walks the tables for it as for a miss, looks up its connections, and follows it round, without
 * changing anything. Nothing is learned, made, counted, named or installed.
 *
 *     packet ─▶ frame ─▶ parse ─▶ translate ─▶ megaflow     a round
 *                          ▲          │
 *                          └── frame ◀┘                     for each time that it, or a copy, goes round
 */
import {
  CONNECTION_STRIDE,
  type Datapath,
  DROP_NAMES,
  DROP_NO_FRAMES,
  DROP_RECIRCULATION_LIMIT,
  Key,
  MAX_LENGTH,
  OP_DROP,
  TRIAL_HELD,
  TRIAL_INVALID,
} from '../datapath.ts';
import type { Trace, TracePacket, TraceQuestion, TraceSent, TraceStep } from '../model.ts';
import { composeFrame } from '../table/compose.ts';
import { changesBetween, printPacket, printState } from '../table/describe.ts';
import type { Emitter } from '../table/emit.ts';
import { wordsOf } from '../table/match.ts';
import { formatActions, formatMatch } from '../table/megaflow.ts';
import type { Packet } from '../table/packet.ts';
import { parsePacket } from '../table/parse-packet.ts';
import { SCTP, TCP, UDP } from '../table/protocols.ts';
import { FlowError, lineToken } from '../table/syntax.ts';
import { TraceRecorder } from '../table/trace.ts';
import { translate } from '../table/translate.ts';
import type { TranslationContext } from '../table/translation.ts';
import { type PortNumbers, parsePort, printPort } from '../table/values.ts';
import { explain, type RoundLookUp } from '../table/why-not.ts';
import { TrialFrame, type Tried } from '../trial.ts';
import { OUTCOMES, type Trial, TrialEmitter } from './trial-emitter.ts';

/** The question is wrong. */
export class TraceError extends Error {
  override readonly name = 'TraceError';
}

/** What is found out where the tables are; the connections are copies of their records, one after another. */
export type TraceReply = Omit<Trace, 'name' | 'connections'> & { records: Uint8Array; nowMs: number };

/** Rounds that are followed, copies' included. */
const ROUNDS_MOST = 64;

/** Protocols that have ports. */
const WITH_PORTS = [TCP, UDP, SCTP];

interface Waiting {
  readonly frame: TrialFrame;
  /** What it came in with, where that was not read from the frame. */
  readonly key?: Uint8Array;
  readonly recirculation: number;
}

/** @param context which learns nothing, and gives out numbers only as long as it lasts */
export function trace(
  question: TraceQuestion,
  context: TranslationContext,
  numbers: PortNumbers,
  datapath: Datapath,
): TraceReply {
  const { whyNot } = question;
  const explained = whyNot === undefined ? undefined : told('--why-not', () => explain(whyNot, numbers));
  const tracing = new Tracing(context);
  try {
    tracing.follow(firstFrame(question.packet, numbers, datapath));
    const { rounds, verdict, records, lookUps } = tracing;
    return {
      rounds,
      verdict,
      records: joined(records),
      nowMs: datapath.nowMs,
      ...(explained && { whyNot: explained(context.tables, lookUps, context.ports) }),
    };
  } finally {
    tracing.end();
  }
}

/** Does something with a part of the question; what is wrong with that is said to be in `what`. */
function told<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof FlowError) throw new TraceError(`${what}: ${error.message}`);
    throw error;
  }
}

/** The packet on its way in. */
function firstFrame(packet: TracePacket, numbers: PortNumbers, datapath: Datapath): Waiting {
  if ('flow' in packet) {
    const { key, icmpId } = told('packet', () => parsePacket(packet.flow, numbers));
    const port = wordsOf(key)[0]! & 0xffff;
    return { frame: takeFrame(datapath, composeFrame(key, icmpId), port, true), key, recirculation: 0 };
  }
  const port = told('--port', () => parsePort(lineToken(packet.port, 1), numbers));
  const bytes = Buffer.from(packet.frame, 'hex');
  return { frame: takeFrame(datapath, bytes, port, false), recirculation: 0 };
}

function takeFrame(datapath: Datapath, bytes: Uint8Array, port: number, isMade: boolean): TrialFrame {
  if (bytes.length > MAX_LENGTH) {
    throw new TraceError(`frame: found ${bytes.length} bytes, expected at most ${MAX_LENGTH}`);
  }
  const frame = TrialFrame.take(datapath, bytes, port, isMade);
  if (!frame) throw new Error('found no free frame, expected one for the packet');
  return frame;
}

function joined(records: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(records.length * CONNECTION_STRIDE);
  for (const [i, record] of records.entries()) whole.set(record, i * CONNECTION_STRIDE);
  return whole;
}

/** One trace while it goes on. */
class Tracing {
  readonly rounds: Trace['rounds'] = [];
  readonly records: Uint8Array[] = [];
  readonly lookUps: RoundLookUp[] = [];
  readonly verdict: Trace['verdict'] = { sent: [], controllers: 0, held: false, unfollowed: 0 };
  readonly #context: TranslationContext;
  readonly #waiting: Waiting[] = [];
  /** The packet as it came in. */
  #first: Uint32Array | undefined;

  constructor(context: TranslationContext) {
    this.#context = context;
  }

  follow(first: Waiting): void {
    this.#waiting.push(first);
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) {
      try {
        if (this.rounds.length < ROUNDS_MOST) this.#round(next);
        else this.verdict.unfollowed++;
      } finally {
        next.frame.give();
      }
    }
    const { sent, controllers, held } = this.verdict;
    if (sent.length > 0 || controllers > 0 || held) delete this.verdict.dropped;
  }

  /** Gives back what is left after a failure. */
  end(): void {
    for (const { frame } of this.#waiting) frame.give();
  }

  #round({ frame, key: given, recirculation }: Waiting): void {
    const parsed = frame.parse();
    if (typeof parsed === 'number') {
      this.verdict.dropped = DROP_NAMES[parsed]!;
      return;
    }
    const key = given ?? parsed;
    this.#first ??= wordsOf(key);
    const { ports } = this.#context;
    const round = new Round(this.#context, key, frame, this.#first, this.records);
    const { mask, program } = translate(key, this.#context, round);
    this.rounds.push({
      recirculation,
      flow: printPacket(round.lookUps[0]?.words ?? wordsOf(key), ports),
      finalFlow: printPacket(round.packet!.words, ports),
      steps: round.steps,
      megaflow: { match: formatMatch(key, mask, ports), actions: formatActions(key, program, ports) },
      liveMegaflow: frame.flowOf(key) ?? null,
    });
    this.lookUps.push(...round.lookUps.map((lookUp) => ({ ...lookUp, recirculation })));
    // A program that came to nothing is not done at all, whatever was tried for it.
    if (program[0] === OP_DROP) round.end(DROP_NAMES[program[1]!]!);
    this.#add(round);
  }

  #add({ sent, controllers, isHeld, dropped, rounds }: Round): void {
    const { verdict } = this;
    verdict.sent.push(...sent);
    verdict.controllers += controllers;
    verdict.held ||= isHeld;
    if (dropped !== undefined) verdict.dropped = dropped;
    this.#waiting.push(...rounds);
  }
}

/** The record of a round, and what comes of the packet in it. */
class Round extends TraceRecorder implements Trial {
  readonly sent: TraceSent[] = [];
  readonly rounds: Waiting[] = [];
  controllers = 0;
  isHeld = false;
  dropped: string | undefined;
  readonly #key: Uint8Array;
  readonly #frame: TrialFrame;
  readonly #first: Uint32Array;
  readonly #records: Uint8Array[];
  readonly #ports: TranslationContext['ports'];
  #isChosen: boolean | undefined;

  constructor(
    { tables, ports }: TranslationContext,
    key: Uint8Array,
    frame: TrialFrame,
    first: Uint32Array,
    records: Uint8Array[],
  ) {
    super(tables, ports);
    this.#ports = ports;
    this.#key = key;
    this.#frame = frame;
    this.#first = first;
    this.#records = records;
  }

  override emitterFor(packet: Packet): Emitter {
    super.emitterFor(packet);
    return new TrialEmitter(packet, this.#key, this.#frame, this);
  }

  /** Nothing is done but that the packet is dropped. */
  end(reason: string): void {
    for (const { frame } of this.rounds.splice(0)) frame.give();
    this.sent.length = 0;
    this.controllers = 0;
    this.isHeld = false;
    this.dropped = reason;
  }

  chooses(isChosen: boolean | undefined): void {
    this.#isChosen = isChosen;
  }

  protected override bucketStep(bucket: number): TraceStep & { kind: 'bucket' } {
    const chosen = this.#isChosen;
    this.#isChosen = undefined;
    return { ...super.bucketStep(bucket), ...(chosen !== undefined && { chosen }) };
  }

  tracks(zone: number, { outcome, state, record }: Tried): void {
    const connection = record && this.#records.push(record) - 1;
    this.isHeld ||= outcome === TRIAL_HELD;
    this.say({
      kind: 'connection',
      zone,
      outcome: OUTCOMES.get(outcome)!,
      state: outcome === TRIAL_HELD ? '' : printState(state),
      ...(connection !== undefined && { connection }),
    });
    if (outcome === TRIAL_INVALID && this.#lacksPort())
      this.note('a port of it is 0, which no connection has');
  }

  #lacksPort(): boolean {
    const has = (port: number) => this.#key[port]! !== 0 || this.#key[port + 1]! !== 0;
    return WITH_PORTS.includes(this.#key[Key.nwProto]!) && !(has(Key.tpSrc) && has(Key.tpDst));
  }

  sends(port: number, frame: TrialFrame, maxLength = frame.length): void {
    const key = frame.parse();
    const words = typeof key === 'number' ? this.#first : wordsOf(key);
    this.sent.push({
      port: printPort(port, this.#ports),
      up: this.#ports.get(port)?.up ?? false,
      length: Math.min(frame.length, maxLength),
      changed: changesBetween(this.#first, words, this.#ports),
    });
  }

  controls(): void {
    this.controllers++;
  }

  recirculates(recirculation: number, frame: TrialFrame): void {
    this.note(`goes on as recirc_id 0x${recirculation.toString(16)}`);
    const copy = frame.copy();
    if (copy?.goRound(recirculation)) this.rounds.push({ frame: copy, recirculation });
    else {
      copy?.give();
      this.drops(copy ? DROP_RECIRCULATION_LIMIT : DROP_NO_FRAMES);
    }
  }

  drops(reason: number): void {
    this.dropped = DROP_NAMES[reason]!;
  }

  meters(): void {
    this.note('goes on unless it is over the rate');
  }
}
