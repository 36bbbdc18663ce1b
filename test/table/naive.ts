/**
 * The twin that translation is tested against: it takes one packet through the tables and changes its bytes at
 * once, parsing them anew whenever it wants to know something. Nothing is put off, nothing is remembered for
 * other packets, and there are no rounds.
 */
import * as layout from '../../src/datapath.ts';
import { type Action, addsTag } from '../../src/table/action.ts';
import { orderActionSet } from '../../src/table/action-set.ts';
import { fromNumber } from '../../src/table/bytes.ts';
import { type Field, fieldOf, Pipeline, type Subfield, TABLE_KEY_SIZE } from '../../src/table/fields.ts';
import type { Bucket, Group } from '../../src/table/group.ts';
import { learnedFlow } from '../../src/table/learn.ts';
import { wordsOf } from '../../src/table/match.ts';
import type { Packet } from '../../src/table/packet.ts';
import type { Flow } from '../../src/table/parse.ts';
import { meets } from '../../src/table/protocols.ts';
import type { Rule } from '../../src/table/rule.ts';
import { placed, readSubfield, wholeField } from '../../src/table/subfield.ts';
import type { Punt } from '../../src/table/translation.ts';
import { naiveParse, type Parsed } from '../support/naive-parse.ts';
import { naiveSet } from '../support/naive-rewrite.ts';
import { concat, get16, set16, set32 } from '../support/packets.ts';
import type { TestContext } from './context.ts';
import { naiveLookUp } from './naive-lookup.ts';

const { KEY_SIZE, Key } = layout;

/** What becomes of a packet; bytes are in hexadecimal. */
export interface Outcome {
  sent: string[];
  punts: { punt: Punt; bytes: string }[];
  tallies: string[];
  learned: Flow[];
  /** Why nothing was sent, where that is plain to see. */
  reason: string | undefined;
}

/** The tables say something whose outcome depends on limits of translation or parser. */
export class Beyond extends Error {}

/** The packet's bytes cannot be parsed: it ends here. */
class Malformed extends Error {}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const VLAN_TYPES = [0x8100, 0x88a8];
const MPLS_TYPES = [0x8847, 0x8848];

const RANK = [
  layout.DROP_FLOW,
  layout.DROP_TABLE_MISS,
  layout.DROP_RESERVED_MULTICAST,
  layout.DROP_OUTPUT_TO_INGRESS,
  layout.DROP_NO_LIVE_BUCKET,
  layout.DROP_NO_SUCH_PORT,
  layout.DROP_NO_SUCH_GROUP,
  layout.DROP_NO_SUCH_METER,
  layout.DROP_TTL_EXPIRED,
];

/** Copies that go round may go round again so often, at least. */
const ROUNDS_MAX = 20;

/** Of the lists of actions that resubmits left, how far this one got. */
type End = 'done' | 'exit';

export class Naive {
  readonly outcome: Outcome = { sent: [], punts: [], tallies: [], learned: [], reason: undefined };
  readonly #context: TestContext;
  /** Which bucket each select group takes, in the order in which they are met. */
  readonly #choices: readonly number[];
  /** How many there were to choose from. */
  readonly arities: number[] = [];
  readonly #reasons = new Set([layout.DROP_FLOW]);
  readonly #realInPort: number;
  #isPlain = true;
  /** A flow has said to drop the packet: then whoever is shown it does not take it. */
  #isDenied = false;
  #packet: Uint8Array;
  #inPort: number;
  #pipeline: Uint8Array = new Uint8Array(TABLE_KEY_SIZE - KEY_SIZE);
  #stack: bigint[] = [];
  #actionSet: readonly Action[] = [];
  #steps = 0;
  #rounds = 0;

  constructor(packet: Uint8Array, inPort: number, context: TestContext, choices: readonly number[]) {
    this.#packet = packet;
    this.#inPort = inPort;
    this.#realInPort = inPort;
    this.#context = context;
    this.#choices = choices;
  }

  /** @throws Beyond */
  run(): Outcome {
    try {
      this.#walk(0);
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      this.#isPlain = false;
    }
    const { sent, punts } = this.outcome;
    if (this.#isPlain && sent.length === 0 && (this.#isDenied || punts.length === 0)) {
      this.outcome.reason = layout.DROP_NAMES[RANK.filter((one) => this.#reasons.has(one)).at(-1)!];
    }
    return this.outcome;
  }

  /** From a table on to what the action set says. */
  #walk(table: number): void {
    this.#enter(table, this.#inPort, 0);
    const actions = orderActionSet(this.#actionSet);
    this.#actionSet = [];
    if (actions.length > 0) this.#list(actions, { table: 0, cookie: 0n }, 0);
  }

  #parsed(): Parsed {
    const parsed = naiveParse(this.#packet, this.#realInPort);
    // The switch does not look again at a label stack while it knows what comes next.
    if (parsed === layout.DROP_MPLS_TRUNCATED) throw new Beyond('the end of the stack');
    if (typeof parsed === 'number') throw new Malformed();
    return parsed;
  }

  #key(inPort: number): Uint8Array {
    const key = concat(this.#parsed().key, this.#pipeline);
    new DataView(key.buffer).setUint32(Key.inPort, inPort, true);
    return key;
  }

  #has({ requires }: Field): boolean {
    if (!requires) return true;
    const { key } = this.#parsed();
    if (key[Key.nwFrag] === layout.FRAGMENT_LATER && requires.protocols) return false;
    if (requires.icmpTypes && key[Key.tpDst + 1] !== 0) return false;
    return meets(requires, {
      ethType: get16(key, Key.ethType),
      nwProto: key[Key.nwProto],
      icmpType: key[Key.tpSrc + 1],
      hasConnection: false,
    });
  }

  #read(subfield: Subfield): bigint {
    if (!this.#has(subfield.field)) return 0n;
    const key = subfield.field.requires ? this.#key(this.#inPort) : this.#outerKey();
    return readSubfield(key, subfield);
  }

  /** The key without what stands behind the Ethernet type, which may be malformed. */
  #outerKey(): Uint8Array {
    const packet = this.#packet;
    const at = this.#network;
    this.#packet = packet.slice(0, at);
    set16(this.#packet, at - 2, 0x88b5);
    const key = this.#key(this.#inPort);
    this.#packet = packet;
    key.set(packet.subarray(at - 2, at), Key.ethType);
    return key;
  }

  #load(to: Subfield, value: bigint): void {
    const { value: bytes, mask } = placed(to, value);
    this.#set(to.field, bytes, mask, to.field.name === 'vlan_tci');
  }

  #set(field: Field, value: Uint8Array, mask: Uint8Array, mayAddTag: boolean): void {
    if (field.offset === Key.vlanTci) this.#setTag(get16(value, 0), get16(mask, 0), mayAddTag);
    else if (!this.#has(field)) return;
    else if (field.offset === Key.inPort) {
      const whole = Uint8Array.from(
        mask,
        (bits, i) => (fromNumber(BigInt(this.#inPort), 4, true)[i]! & ~bits) | value[i]!,
      );
      this.#inPort = new DataView(whole.buffer).getUint32(0, true);
    } else if (field.offset >= KEY_SIZE) {
      this.#pipeline = this.#pipeline.slice();
      for (const [i, bits] of mask.entries()) {
        const at = field.offset - KEY_SIZE + i;
        this.#pipeline[at] = (this.#pipeline[at]! & ~bits) | value[i]!;
      }
    } else this.#rewrite(field.offset, value, mask);
  }

  #rewrite(offset: number, value: Uint8Array, mask: Uint8Array): void {
    for (let word = offset & ~3; word < offset + value.length; word += 4) {
      const at = (bytes: Uint8Array) => Uint8Array.from([0, 1, 2, 3], (i) => bytes[word + i - offset] ?? 0);
      // Ethernet stands where it stands, whatever follows.
      const parsed =
        word < Key.nwProto
          ? { key: new Uint8Array(KEY_SIZE), l3: 0, l4: 0, transport: 0, routed: false }
          : this.#parsed();
      this.#packet = naiveSet(this.#packet, parsed, 'whole', word, at(value), at(mask));
    }
  }

  get #isTagged(): boolean {
    return VLAN_TYPES.includes(get16(this.#packet, 12));
  }

  #pushTag(tpid: number, tci: number): void {
    if (this.#isTagged && VLAN_TYPES.includes(get16(this.#packet, 16))) throw new Beyond('three tags');
    const tag = new Uint8Array(4);
    set16(tag, 0, tpid);
    set16(tag, 2, tci & 0xefff);
    this.#packet = concat(this.#packet.subarray(0, 12), tag, this.#packet.subarray(12));
  }

  #popTag(): void {
    if (this.#isTagged) this.#packet = concat(this.#packet.subarray(0, 12), this.#packet.subarray(16));
  }

  #setTag(value: number, mask: number, mayAdd: boolean): void {
    const old = this.#isTagged ? get16(this.#packet, 14) | 0x1000 : 0;
    const tci = (old & ~mask) | value;
    if (!(tci & 0x1000)) this.#popTag();
    else if (old) {
      this.#packet = this.#packet.slice();
      set16(this.#packet, 14, (get16(this.#packet, 14) & 0x1000) | (tci & 0xefff));
    } else if (mayAdd) this.#pushTag(0x8100, tci);
  }

  /** Behind the tags: the offset of what the last EtherType tells of. */
  get #network(): number {
    let at = 14;
    while (VLAN_TYPES.includes(get16(this.#packet, at - 2))) at += 4;
    return at;
  }

  #pushLabel(ethType: number): void {
    const at = this.#network;
    const { key } = this.#parsed();
    const type = get16(key, Key.ethType);
    const entry = new Uint8Array(4);
    if (MPLS_TYPES.includes(type)) {
      entry.set(this.#packet.subarray(at, at + 4));
      entry[2]! &= 0xfe;
    } else {
      const isIp = type === 0x0800 || type === 0x86dd;
      const trafficClass = isIp ? (key[Key.nwTos]! >> 2) & 7 : 0;
      const ttl = (isIp && key[Key.nwTtl]) || 64;
      set32(entry, 0, ((type === 0x86dd ? 2 : 0) << 12) | (trafficClass << 9) | 0x100 | ttl);
    }
    this.#packet = concat(this.#packet.subarray(0, at), entry, this.#packet.subarray(at));
    set16(this.#packet, at - 2, ethType);
  }

  #popLabel(ethType: number): void {
    const at = this.#network;
    this.#parsed();
    if (!MPLS_TYPES.includes(get16(this.#packet, at - 2))) return;
    this.#packet = concat(this.#packet.subarray(0, at), this.#packet.subarray(at + 4));
    set16(this.#packet, at - 2, ethType);
    this.#isPlain = false;
  }

  #enter(table: number, as: number, depth: number): End {
    if (depth > 64 || ++this.#steps > 4000) throw new Beyond('tables in a circle');
    const rule = naiveLookUp<Rule>(this.#context.tables.rules(table), wordsOf(this.#key(as)));
    if (rule) {
      if (rule.actions.length === 0) this.#isDenied = true;
      return this.#list(rule.actions, rule, depth);
    }
    this.#reasons.add(layout.DROP_TABLE_MISS);
    return 'done';
  }

  #list(actions: readonly Action[], from: { table: number; cookie: bigint }, depth: number): End {
    for (const action of actions) {
      if (action.kind === 'goto') return this.#enter(action.table, this.#inPort, depth);
      if (action.kind === 'resubmit') {
        const target = action.table ?? from.table;
        const end = this.#enter(target, action.port ?? this.#inPort, target > from.table ? depth : depth + 1);
        if (end === 'exit') return 'exit';
      } else if (action.kind === 'exit') {
        return 'exit';
      } else if (action.kind === 'decTtl' || action.kind === 'decMplsTtl') {
        const field = fieldOf(action.kind === 'decTtl' ? 'nw_ttl' : 'mpls_ttl');
        const controllers = action.kind === 'decTtl' ? action.controllers : [0];
        if (!this.#decrement(field, controllers, from)) return 'done';
      } else if (action.kind === 'meter') {
        if (this.#context.meters.get(action.meter) !== undefined) continue;
        this.#reasons.add(layout.DROP_NO_SUCH_METER);
        return 'exit';
      } else this.#do(action, from, depth);
    }
    return 'done';
  }

  #do(action: Action, from: { table: number; cookie: bigint }, depth: number): void {
    switch (action.kind) {
      case 'output':
        return this.#outputUnlessIngress(action.port, action.maxLength);
      case 'outputField':
        return this.#outputUnlessIngress(Number(this.#read(action.source)));
      case 'inPort':
        return this.#output(this.#inPort, action.maxLength);
      case 'local':
        this.#reasons.add(layout.DROP_NO_SUCH_PORT);
        return;
      case 'flood':
      case 'all':
        return this.#flood();
      case 'normal':
        return this.#normal();
      case 'controller':
        return this.#controller({ ...action, controller: action.id }, from);
      case 'set':
        return this.#set(action.field, action.value, action.mask, addsTag(action));
      case 'load':
        return this.#load(action.to, action.value);
      case 'move':
        if (this.#has(action.from.field)) this.#load(action.to, this.#read(action.from));
        return;
      case 'push':
        this.#stack = [...this.#stack, this.#read(action.what)];
        return;
      case 'pop':
        if (this.#stack.length > 0) this.#load(action.what, this.#stack.at(-1)!);
        this.#stack = this.#stack.slice(0, -1);
        return;
      case 'pushVlan':
        return this.#pushTag(action.tpid, 0);
      case 'popVlan':
        return this.#popTag();
      case 'pushMpls':
        return this.#pushLabel(action.ethType);
      case 'popMpls':
        return this.#popLabel(action.ethType);
      case 'writeMetadata':
        return this.#set(fieldOf('metadata'), fromNumber(action.value, 8), fromNumber(action.mask, 8), false);
      case 'writeActions':
        return this.#setActions([...this.#actionSet, ...action.actions]);
      case 'clearActions':
        return this.#setActions([]);
      case 'group':
        return this.#group(action.group, from, depth);
      case 'clone':
        return this.#apart(() => this.#list(action.actions, from, depth + 1), depth);
      case 'sample': {
        this.#isPlain = false;
        if (action.probability === 0) return;
        const punt = { kind: 'sample', table: from.table, cookie: from.cookie, sample: action } as const;
        this.outcome.punts.push({ punt, bytes: hex(this.#packet) });
        return;
      }
      case 'ct':
        this.#parsed();
        if (action.table !== undefined) this.#track(action.table);
        return;
      case 'learn': {
        const reader = { read: (subfield: Subfield) => this.#read(subfield) };
        // A learn action reads nothing of a packet that cannot be parsed.
        this.#parsed();
        const flow = learnedFlow(action, reader as unknown as Packet);
        const hasRoom = this.#context.tables.hasRoomToLearn(flow, action.limit);
        if (hasRoom) this.outcome.learned.push(flow);
        if (action.result) this.#load(action.result, hasRoom ? 1n : 0n);
      }
    }
  }

  /** Nothing here asks what is known of the packet's connection, so it only goes its way from the table on. */
  #track(table: number): void {
    if (this.#rounds === ROUNDS_MAX) throw new Beyond('too many rounds');
    this.#rounds++;
    this.#apart(() => this.#walk(table), 0);
    this.#rounds--;
  }

  #output(port: number, maxLength = Number.POSITIVE_INFINITY): void {
    if (!this.#context.ports.has(port)) this.#reasons.add(layout.DROP_NO_SUCH_PORT);
    else this.outcome.sent.push(`${port} ${hex(this.#packet.slice(0, maxLength))}`);
  }

  #outputUnlessIngress(port: number, maxLength?: number): void {
    if (port === this.#inPort) this.#reasons.add(layout.DROP_OUTPUT_TO_INGRESS);
    else this.#output(port, maxLength);
  }

  #flood(): void {
    this.#reasons.add(layout.DROP_OUTPUT_TO_INGRESS);
    for (const port of [...this.#context.ports.keys()].sort()) if (port !== this.#inPort) this.#output(port);
  }

  #normal(): void {
    const destination = Number(`0x${hex(this.#packet.subarray(0, 6))}`);
    const vlan = this.#isTagged ? get16(this.#packet, 14) & 0xfff : 0;
    const known = this.#packet[0]! & 1 ? undefined : this.#context.macs.lookup(vlan, destination);
    if (hex(this.#packet.subarray(0, 6)).startsWith('0180c200000')) {
      this.#reasons.add(layout.DROP_RESERVED_MULTICAST);
    } else if (!known) this.#flood();
    else this.#outputUnlessIngress(known.port);
  }

  #controller(
    action: {
      reason: 'action' | 'invalid_ttl' | string;
      maxLength: number;
      controller: number;
      userdata?: Uint8Array;
    },
    { table, cookie }: { table: number; cookie: bigint },
  ): void {
    const { reason, maxLength, controller, userdata } = action;
    const punt = { kind: 'packetIn', table, cookie, reason, maxLength, controller } as Punt;
    this.outcome.punts.push({
      punt: userdata ? ({ ...punt, userdata } as Punt) : punt,
      bytes: hex(this.#packet),
    });
  }

  /** Whether the packet may live on. */
  #decrement(field: Field, controllers: readonly number[], from: { table: number; cookie: bigint }): boolean {
    if (!this.#has(field)) return true;
    const left = this.#read(wholeField(field));
    if (left > 1n) {
      this.#load(wholeField(field), left - 1n);
      return true;
    }
    for (const controller of controllers) {
      this.#controller({ reason: 'invalid_ttl', maxLength: 0xffff, controller }, from);
    }
    this.#reasons.add(layout.DROP_TTL_EXPIRED);
    return false;
  }

  #setActions(actions: readonly Action[]): void {
    this.#actionSet = actions;
    const output = orderActionSet(actions).at(-1);
    const port = output?.kind === 'output' ? output.port : 0;
    this.#pipeline = this.#pipeline.slice();
    set32(this.#pipeline, Pipeline.actionSetOutput - KEY_SIZE, port);
  }

  #group(id: number, from: { table: number; cookie: bigint }, depth: number): void {
    this.#isPlain = false;
    const group = this.#context.groups.get(id);
    if (!group) return;
    if (group.selection?.method === 'hash') this.#parsed();
    this.outcome.tallies.push(`${group.id} undefined`);
    for (const bucket of this.#bucketsOf(group)) {
      this.#apart(() => {
        this.outcome.tallies.push(`${group.id} ${bucket.id}`);
        this.#list(orderActionSet(bucket.actions), from, depth + 1);
      }, depth);
    }
  }

  #isAlive = ({ watchPort, watchGroup }: Bucket): boolean =>
    (watchPort === undefined && watchGroup === undefined) ||
    (watchPort !== undefined && this.#context.ports.get(watchPort)?.up === true) ||
    (watchGroup !== undefined &&
      (this.#context.groups.get(watchGroup)?.buckets.some(this.#isAlive) ?? false));

  /** The buckets that the packet takes. Which one of a select group is for whoever asks to say. */
  #bucketsOf({ type, buckets }: Group): readonly Bucket[] {
    if (type === 'all') return buckets;
    if (type === 'indirect') return buckets.slice(0, 1);
    if (type === 'fastFailover') return buckets.filter(this.#isAlive).slice(0, 1);
    const live = buckets.filter((bucket) => this.#isAlive(bucket) && bucket.weight > 0);
    if (live.length === 0) return [];
    const choice = this.#choices[this.arities.length] ?? 0;
    this.arities.push(live.length);
    return [live[choice]!];
  }

  #apart(run: () => void, depth: number): void {
    if (depth >= 64 || ++this.#steps > 4000) throw new Beyond('too deep');
    this.#isPlain = false;
    const [packet, inPort, pipeline] = [this.#packet, this.#inPort, this.#pipeline];
    const [stack, actionSet] = [this.#stack, this.#actionSet];
    try {
      run();
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
    }
    [this.#packet, this.#inPort, this.#pipeline] = [packet, inPort, pipeline];
    [this.#stack, this.#actionSet] = [stack, actionSet];
  }
}
