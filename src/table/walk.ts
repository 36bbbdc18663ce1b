/**
 * A packet's walk through the tables: looks it up, does what the rules say, and has the emitter write down what
 * that means for the packets of the megaflow.
 *
 * Lists of actions that were left for another (a resubmit) wait on a stack of the walk's own: nested as deep as
 * the limits allow, they would overflow that of JavaScript. It is also what `freeze` keeps when the packet has to
 * be parsed again before the next action, because a header that the key does not tell of has come to light.
 */
import {
  DROP_NO_LIVE_BUCKET,
  DROP_NO_SUCH_GROUP,
  DROP_NO_SUCH_METER,
  DROP_NO_SUCH_PORT,
  DROP_OUTPUT_TO_INGRESS,
  DROP_RECIRCULATION_LOST,
  DROP_RESUBMIT_LIMIT,
  DROP_STATE_FULL,
  DROP_TABLE_MISS,
  DROP_TTL_EXPIRED,
} from '../datapath.ts';
import { type Action, addsTag, type ControllerAction, type CtAction, type LearnAction } from './action.ts';
import { actionSetOutput, orderActionSet } from './action-set.ts';
import { bucketByHash, liveBuckets } from './buckets.ts';
import { fromNumber } from './bytes.ts';
import { ctFlags, natWords } from './ct.ts';
import { Emitter } from './emit.ts';
import { Fate } from './fate.ts';
import { type Field, fieldOf, Pipeline, type Subfield } from './fields.ts';
import { FirstPacket } from './first-packet.ts';
import type { Bucket, Group } from './group.ts';
import { learnedFlow } from './learn.ts';
import type { Sighting } from './mac.ts';
import { bytesOf, KEY_WORDS } from './match.ts';
import { needsHeaders } from './needs.ts';
import { forwardNormally } from './normal.ts';
import { Packet } from './packet.ts';
import type { Rule } from './rule.ts';
import { maskOf, placed, wholeField } from './subfield.ts';
import type { Tracer } from './tracer.ts';
import type { Learned, TranslationContext, Visit } from './translation.ts';
import type { Masked } from './values.ts';

/** Resubmits to the same or an earlier table one inside another, and steps in all, as in OVS. */
const DEPTH_MAX = 64;
const STEPS_MAX = 4096;
/** Numbers on the stack of push and pop. */
const STACK_MAX = 64;

const WHOLE_PACKET = 0xffff;
/** OpenFlow's ports that stand for something else, in the sixteen bits that all its versions have. */
const RESERVED_PORTS = new Map<number, Action>([
  [0xfff8, { kind: 'inPort' }],
  [0xfffa, { kind: 'normal' }],
  [0xfffb, { kind: 'flood' }],
  [0xfffc, { kind: 'all' }],
  [0xfffd, { kind: 'controller', reason: 'action', maxLength: WHOLE_PACKET, id: 0 }],
  [0xfffe, { kind: 'local' }],
]);

const NW_TTL = wholeField(fieldOf('nw_ttl'));
const MPLS_TTL = wholeField(fieldOf('mpls_ttl'));
const CT_NW_PROTO = fieldOf('ct_nw_proto');

const NO_BITS = new Uint32Array(KEY_WORDS);

type LoadAction = Extract<Action, { kind: 'load' }>;

/** What load actions load, as it was worked out before. */
const constants = new WeakMap<LoadAction, Masked>();

function constantOf(action: LoadAction): Masked {
  const known = constants.get(action);
  if (known) return known;
  const constant = placed(action.to, action.value);
  constants.set(action, constant);
  return constant;
}

/** The bits that an action sets, if it is one that sets any. */
function targetOf(action: Action): { readonly field: Field; readonly mask: Uint8Array } | undefined {
  if (action.kind === 'set') return action;
  if (action.kind !== 'load' && action.kind !== 'move') return undefined;
  return { field: action.to.field, mask: maskOf(action.to) };
}

export class Walk {
  readonly packet: Packet;
  readonly emitter: Emitter;
  readonly rules: Rule[] = [];
  /** Tables that had no rule for it, in order and with repeats. */
  readonly missed: number[] = [];
  readonly senders: Sighting[] = [];
  readonly learned: Learned[] = [];
  readonly fate = new Fate();
  /** Whether a flow has said to drop the packet. */
  isDenied = false;

  readonly #context: TranslationContext;
  readonly #ingress: number;
  readonly #tracer: Tracer | undefined;
  #visits: Visit[] = [];
  #stack: readonly bigint[] = [];
  #actionSet: readonly Action[] = [];
  /** Not inside another program: the action set is carried out at the end. */
  #isWhole = true;
  #steps = 0;

  /** @param tracer is told of the walk, if anybody wants to know */
  constructor(key: Uint8Array, context: TranslationContext, tracer?: Tracer) {
    this.packet = new Packet(key);
    this.emitter = tracer?.emitterFor(this.packet) ?? new Emitter(this.packet);
    this.#tracer = tracer;
    this.#ingress = this.packet.inPort;
    this.#context = context;
  }

  /** The tables went round in a circle, or want more than a program can hold. */
  get hasFailed(): boolean {
    return this.fate.reason === DROP_RESUBMIT_LIMIT;
  }

  /** Does what the tables say, from table 0 or from where the packet was frozen. */
  run(): void {
    const { recirculation } = this.packet;
    if (recirculation === 0) this.#enter(0, this.packet.inPort, 0);
    else this.#thaw(recirculation);
    this.#runVisits();
    if (!this.#isWhole || this.#actionSet.length === 0) return;
    const actions = orderActionSet(this.#actionSet);
    this.#actionSet = [];
    this.#visit({ actions, next: 0, table: 0, cookie: 0n, depth: 0 });
    this.#runVisits();
  }

  #runVisits(): void {
    for (let visit = this.#visits.at(-1); visit && !this.hasFailed; visit = this.#visits.at(-1)) {
      const action = visit.actions[visit.next];
      if (!action) {
        this.#visits.pop();
      } else if (this.packet.isOpaque && needsHeaders(action, this.#context.groups)) {
        const recirculation = this.#freeze();
        if (recirculation !== undefined) this.emitter.recirculate(recirculation);
      } else {
        visit.next++;
        this.#tracer?.acts(action, visit);
        this.#do(action, visit);
        if (this.emitter.isTooLong) this.#because(DROP_RESUBMIT_LIMIT);
      }
    }
  }

  #because(reason: number): void {
    this.fate.because(reason);
    this.#tracer?.because(reason);
  }

  /** Looks the packet up in a table as if it had come in on `ingress`; the rule's actions are next. */
  #enter(table: number, ingress: number, depth: number, asFirst = false): void {
    if (depth > DEPTH_MAX || this.#steps++ > STEPS_MAX) {
      this.#because(DROP_RESUBMIT_LIMIT);
      return;
    }
    const rule = this.#lookUp(table, ingress, asFirst);
    if (rule) {
      this.rules.push(rule);
      if (rule.actions.length === 0) this.isDenied = true;
      this.#visit({ actions: rule.actions, next: 0, table, cookie: rule.cookie, depth });
    } else {
      this.missed.push(table);
      this.fate.because(DROP_TABLE_MISS);
    }
  }

  #visit(visit: Visit): void {
    this.#visits.push(visit);
    this.#tracer?.begins(visit);
  }

  /**
   * The packet has its real ingress port back afterwards.
   * @param asFirst with what the first packet of its connection had; if nothing is known of that, no rule applies
   */
  #lookUp(table: number, ingress: number, asFirst: boolean): Rule | undefined {
    const { packet } = this;
    if (asFirst && !(packet.isIp && packet.has(CT_NW_PROTO))) return undefined;
    const realIngress = packet.inPort;
    packet.inPort = ingress;
    const subject = asFirst ? new FirstPacket(packet) : packet;
    const rule = this.#context.tables.lookUp(table, subject);
    this.#tracer?.looksUp(table, subject.words, rule);
    packet.inPort = realIngress;
    return rule;
  }

  #do(action: Action, visit: Visit): void {
    const { packet } = this;
    switch (action.kind) {
      case 'goto':
        this.#visits.pop();
        this.#enter(action.table, packet.inPort, visit.depth);
        break;
      case 'resubmit': {
        const target = action.table ?? visit.table;
        const depth = target > visit.table ? visit.depth : visit.depth + 1;
        this.#enter(target, action.port ?? packet.inPort, depth, action.asFirst);
        break;
      }
      case 'output':
        this.#output(action.port, action.maxLength);
        break;
      case 'outputField':
        this.#outputField(Number(packet.read(action.source)), visit);
        break;
      case 'inPort':
        this.#send(packet.inPort, action.maxLength);
        break;
      case 'local':
        this.#because(DROP_NO_SUCH_PORT);
        break;
      case 'flood':
      case 'all':
        this.#flood();
        break;
      case 'normal':
        this.#normal();
        break;
      case 'controller':
        this.#controller(action, visit);
        break;
      case 'set':
        packet.set(action.field, action.value, action.mask, addsTag(action));
        break;
      case 'load':
        this.#set(action.to.field, constantOf(action));
        break;
      case 'move':
        if (packet.has(action.from.field)) this.#load(action.to, packet.read(action.from));
        break;
      case 'push':
        if (this.#stack.length === STACK_MAX) this.#because(DROP_RESUBMIT_LIMIT);
        this.#stack = [...this.#stack, packet.read(action.what)];
        break;
      case 'pop':
        if (this.#stack.length > 0) this.#load(action.what, this.#stack.at(-1)!);
        this.#stack = this.#stack.slice(0, -1);
        break;
      case 'pushVlan':
        packet.pushTag(action.tpid);
        break;
      case 'popVlan':
        packet.popTag();
        break;
      case 'pushMpls':
        packet.pushLabel(action.ethType);
        break;
      case 'popMpls':
        packet.popLabel(action.ethType);
        break;
      case 'decTtl':
        this.#decrement(NW_TTL, action.controllers, visit);
        break;
      case 'decMplsTtl':
        this.#decrement(MPLS_TTL, [0], visit);
        break;
      case 'writeMetadata':
        packet.write(Pipeline.metadata, fromNumber(action.value, 8), fromNumber(action.mask, 8));
        break;
      case 'writeActions':
        this.#setActions([...this.#actionSet, ...action.actions]);
        break;
      case 'clearActions':
        this.#setActions([]);
        break;
      case 'meter':
        this.#meter(action.meter);
        break;
      case 'group':
        this.#group(action.group, visit);
        break;
      case 'clone':
        this.emitter.clone(() => this.#apart(action.actions, visit));
        break;
      case 'sample':
        this.emitter.sample(action.probability * 65537, () => {
          const punt = this.#context.punt({
            kind: 'sample',
            table: visit.table,
            cookie: visit.cookie,
            sample: action,
          });
          if (punt !== undefined) this.emitter.controller(punt);
        });
        break;
      case 'learn':
        this.#learn(action);
        break;
      case 'ct':
        this.#track(action, visit);
        break;
      case 'ctClear':
        packet.untrack();
        this.emitter.clearTracking();
        break;
      case 'exit':
        this.#visits = [];
        break;
      case 'conjunction':
      case 'finTimeout':
      case 'note':
        break;
    }
  }

  #send(port: number, maxLength?: number): void {
    if (this.#context.ports.has(port)) this.emitter.output(port, maxLength);
    else this.#because(DROP_NO_SUCH_PORT);
  }

  #output(port: number, maxLength?: number): void {
    if (port === this.packet.inPort) this.#because(DROP_OUTPUT_TO_INGRESS);
    else this.#send(port, maxLength);
  }

  #outputField(port: number, visit: Visit): void {
    const reserved = RESERVED_PORTS.get(port >= 0xffff_ff00 ? port & 0xffff : port);
    if (reserved) this.#do(reserved, visit);
    else this.#output(port);
  }

  #flood(): void {
    this.fate.because(DROP_OUTPUT_TO_INGRESS);
    for (const [port, { flooded }] of [...this.#context.ports].sort(([a], [b]) => a - b)) {
      if (port !== this.packet.inPort && flooded !== false) this.#send(port);
    }
  }

  #normal(): void {
    const verdict = forwardNormally(this.packet, this.#context, this.senders);
    this.#tracer?.forwards(verdict, this.packet);
    if (verdict.kind === 'flood') this.#flood();
    else if (verdict.kind === 'port') this.#send(verdict.port);
    else this.#because(verdict.reason);
  }

  #load(to: Subfield, value: bigint): void {
    this.#set(to.field, placed(to, value));
  }

  #set(field: Field, { value, mask }: Masked): void {
    this.packet.set(field, value, mask, field.name === 'vlan_tci');
  }

  /** A packet whose time is up goes to the controllers, and the rest of the list is not done. */
  #decrement(ttl: Subfield, controllers: readonly number[], visit: Visit): void {
    if (!this.packet.has(ttl.field)) return;
    const left = this.packet.read(ttl);
    if (left > 1n) return this.#load(ttl, left - 1n);
    for (const id of controllers) {
      this.#controller({ kind: 'controller', reason: 'invalid_ttl', maxLength: WHOLE_PACKET, id }, visit);
    }
    this.#because(DROP_TTL_EXPIRED);
    this.#visits.pop();
  }

  #setActions(actions: readonly Action[]): void {
    this.#actionSet = actions;
    const port = fromNumber(BigInt(actionSetOutput(actions)), 4);
    this.packet.write(Pipeline.actionSetOutput, port, Uint8Array.of(0xff, 0xff, 0xff, 0xff));
  }

  #meter(id: number): void {
    const meter = this.#context.meters.get(id);
    if (meter !== undefined) return this.emitter.meter(meter);
    this.#because(DROP_NO_SUCH_METER);
    this.#visits = [];
  }

  #controller(action: ControllerAction, { table, cookie }: Visit): void {
    const { reason, maxLength, id: controller, userdata, pause, meter } = action;
    const continuation = pause ? this.#freeze() : undefined;
    if (pause && continuation === undefined) return;
    const punt = this.#context.punt({
      kind: 'packetIn',
      table,
      cookie,
      reason,
      maxLength,
      controller,
      ...(userdata && { userdata }),
      ...(continuation !== undefined && { continuation }),
    });
    if (punt === undefined) this.#because(DROP_STATE_FULL);
    else if (meter === undefined) this.emitter.controller(punt);
    else {
      this.emitter.clone(() => {
        this.#meter(meter);
        this.emitter.controller(punt);
      });
    }
  }

  #learn(action: LearnAction): void {
    const flow = learnedFlow(action, this.packet);
    const hasRoom = this.#context.tables.hasRoomToLearn(flow, action.limit);
    if (hasRoom) this.learned.push({ flow, action });
    this.#tracer?.learns(flow, hasRoom);
    if (action.result) this.#load(action.result, hasRoom ? 1n : 0n);
  }

  /**
   * Has the packet tracked. The table that is to know of it gets a copy, in another round; here nothing is known of
   * it, as if it had not been tracked.
   */
  #track(action: CtAction, visit: Visit): void {
    const { packet, emitter } = this;
    const { zone, table, nat, exec } = action;
    const number = typeof zone === 'number' ? zone : Number(packet.read(zone));
    const set = this.#setInConnection(exec, visit);
    const recirculation = table === undefined ? undefined : this.#fork(table);
    emitter.track(ctFlags(action), number, set, nat && natWords(nat, packet.ethType), recirculation);
    packet.untrack();
  }

  /** Sets mark and label in the packet's key. Which bits of the key these are. */
  #setInConnection(exec: readonly Action[], visit: Visit): Uint32Array {
    if (exec.length === 0) return NO_BITS;
    const set = new Uint32Array(KEY_WORDS);
    const bytes = bytesOf(set);
    for (const action of exec) {
      const target = targetOf(action);
      if (!target || (action.kind === 'move' && !this.packet.has(action.from.field))) continue;
      for (const [i, bits] of target.mask.entries()) bytes[target.field.offset + i]! |= bits;
      this.#do(action, visit);
    }
    return set;
  }

  #group(id: number, visit: Visit): void {
    const group = this.#context.groups.get(id);
    if (!group) return this.#because(DROP_NO_SUCH_GROUP);
    this.#tally(group);
    const { type, buckets } = group;
    if (type === 'all') for (const bucket of buckets) this.#bucket(group, bucket, visit);
    else if (type === 'select') this.#select(group, visit);
    else {
      const [bucket] = type === 'indirect' ? buckets : liveBuckets(group, this.#context);
      if (bucket) this.#bucket(group, bucket, visit);
      else this.#because(DROP_NO_LIVE_BUCKET);
    }
  }

  #select(group: Group, visit: Visit): void {
    const { selection } = group;
    const buckets = liveBuckets(group, this.#context).filter(({ weight }) => weight > 0);
    if (buckets.length === 0) this.#because(DROP_NO_LIVE_BUCKET);
    else if (buckets.length === 1) this.#bucket(group, buckets[0]!, visit);
    else if (selection?.method === 'hash' && selection.fields.length > 0) {
      this.#bucket(group, bucketByHash(this.packet, selection, buckets), visit);
    } else {
      const alternatives = buckets.map((bucket) => ({
        salt: bucket.id,
        weight: bucket.weight,
        write: () => {
          const { takers } = this.emitter;
          this.#runBucket(group, bucket, visit);
          if (this.emitter.takers === takers) this.emitter.drop(this.fate.reason);
        },
      }));
      this.emitter.select(Number((selection?.param ?? 0n) & 0xffff_ffffn), alternatives);
    }
  }

  #bucket(group: Group, bucket: Bucket, visit: Visit): void {
    this.emitter.clone(() => this.#runBucket(group, bucket, visit));
  }

  #runBucket(group: Group, bucket: Bucket, visit: Visit): void {
    this.#tally(group, bucket.id);
    this.#apart(orderActionSet(bucket.actions), visit, bucket.id);
  }

  #tally(group: Group, bucket?: number): void {
    const tally = this.#context.tally(group, bucket);
    if (tally !== undefined) this.emitter.tally(tally);
  }

  /** Does some actions, perhaps a bucket's; packet and walk are afterwards what they were. */
  #apart(actions: readonly Action[], { table, cookie, depth }: Visit, bucket?: number): void {
    if (depth >= DEPTH_MAX || this.#steps++ > STEPS_MAX) {
      this.#because(DROP_RESUBMIT_LIMIT);
      return;
    }
    const packet = this.packet.save();
    const [visits, actionSet, stack, isWhole] = [this.#visits, this.#actionSet, this.#stack, this.#isWhole];
    const inner = { actions, next: 0, table, cookie, depth: depth + 1 };
    this.#visits = [inner];
    this.#isWhole = false;
    this.#tracer?.descends(inner, bucket);
    this.#runVisits();
    this.#tracer?.ascends();
    this.packet.restore(packet);
    this.#visits = visits;
    this.#actionSet = actionSet;
    this.#stack = stack;
    this.#isWhole = isWhole;
  }

  /** Keeps what is left to do for when the packet comes back. The walk ends here, for now. */
  #freeze(): number | undefined {
    const visits = this.#visits.filter(({ actions, next }) => next < actions.length);
    const frozen = this.#keep(
      visits.map((visit) => ({ ...visit })),
      this.#isWhole,
    );
    this.#visits = [];
    this.#actionSet = [];
    return frozen;
  }

  /** A walk of its own, from a table on, for a copy of the packet. */
  #fork(table: number): number | undefined {
    const visit: Visit = { actions: [{ kind: 'goto', table }], next: 0, table: 0, cookie: 0n, depth: 0 };
    return this.#keep([visit], true);
  }

  /** The number under which the packet goes on with `visits` and all else that this walk knows. */
  #keep(visits: readonly Visit[], isWhole: boolean): number | undefined {
    const { packet } = this;
    const frozen = this.#context.freeze({
      visits,
      pipeline: packet.pipeline.slice(),
      inPort: packet.inPort === this.#ingress ? undefined : packet.inPort,
      stack: this.#stack,
      actionSet: this.#actionSet,
      isWhole,
    });
    if (frozen === undefined) this.#because(DROP_STATE_FULL);
    return frozen;
  }

  #thaw(recirculation: number): void {
    const frozen = this.#context.thaw(recirculation);
    if (!frozen) {
      this.#because(DROP_RECIRCULATION_LOST);
      return;
    }
    this.packet.pipeline.set(frozen.pipeline);
    if (frozen.inPort !== undefined) this.packet.inPort = frozen.inPort;
    this.#visits = frozen.visits.map((visit) => ({ ...visit }));
    this.#stack = frozen.stack;
    this.#actionSet = frozen.actionSet;
    this.#isWhole = frozen.isWhole;
  }
}
