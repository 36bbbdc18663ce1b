/**
 * Translation: from one packet's key to a megaflow, the mask of what decided its fate and the program
 * that carries it out.
 *
 * The megaflow must be right for every packet that its mask lets in. So whatever the walk through the
 * tables looks at goes into the mask: all that the rules hit match on, and for a rule passed over one
 * word in which it differs, unless what is already in the mask tells the two apart.
 */
import {
  DROP_FLOW,
  DROP_NO_SUCH_PORT,
  DROP_OUTPUT_TO_INGRESS,
  DROP_RESERVED_MULTICAST,
  DROP_RESUBMIT_LIMIT,
  DROP_TABLE_MISS,
  Key,
} from '../datapath.ts';
import { type Action, addsTag, type SetAction } from './action.ts';
import { Emitter } from './emit.ts';
import { meets } from './fields.ts';
import type { Sighting } from './mac.ts';
import { bytesOf } from './match.ts';
import { type Bridge, forwardNormally } from './normal.ts';
import { Packet } from './packet.ts';
import type { Rule, Tables } from './table.ts';

export interface TranslationContext extends Bridge {
  readonly tables: Tables;
}

export interface Translation {
  /** KEY_SIZE bytes; a packet is in the megaflow when its key equals the translated one in these bits. */
  readonly mask: Uint8Array;
  /** An action program as in `opcode.ts`. */
  readonly program: Uint32Array;
  /** The rules hit, in order and with repeats. */
  readonly rules: Rule[];
  /** What NORMAL learns from its packets. */
  readonly senders: Sighting[];
}

/** Resubmits to the same or an earlier table one inside another, and in all (goto_table included), as in OVS. */
const DEPTH_MAX = 64;
const RESUBMITS_MAX = 4096;

/** Why nothing was sent, the most telling reason last. */
const TELLING = [
  DROP_FLOW,
  DROP_TABLE_MISS,
  DROP_RESERVED_MULTICAST,
  DROP_OUTPUT_TO_INGRESS,
  DROP_NO_SUCH_PORT,
  DROP_RESUBMIT_LIMIT,
];

/** A rule that was hit and how far its actions are done. */
interface Visit {
  readonly rule: Rule;
  next: number;
  /** How many resubmits to the same or an earlier table led here, one inside another. */
  readonly depth: number;
}

class Walk {
  readonly packet: Packet;
  readonly emitter: Emitter;
  readonly rules: Rule[] = [];
  readonly senders: Sighting[] = [];
  reason = DROP_FLOW;

  readonly #context: TranslationContext;
  readonly #visits: Visit[] = [];
  #lookups = 0;

  constructor(key: Uint8Array, context: TranslationContext) {
    this.packet = new Packet(key);
    this.emitter = new Emitter(this.packet);
    this.#context = context;
  }

  get hasFailed(): boolean {
    return this.reason === DROP_RESUBMIT_LIMIT;
  }

  /**
   * Does what the tables say, from table 0 on. Rules that were left by a resubmit wait on a stack of
   * their own: nested as deep as the limits allow, they would overflow that of JavaScript.
   */
  run(): void {
    this.#enter(0, this.packet.inPort, 0);
    for (let visit = this.#visits.at(-1); visit && !this.hasFailed; visit = this.#visits.at(-1)) {
      const action = visit.rule.actions[visit.next++];
      const { table } = visit.rule;
      if (!action) this.#visits.pop();
      else if (action.kind === 'goto') {
        this.#visits.pop();
        this.#enter(action.table, this.packet.inPort, visit.depth);
      } else if (action.kind === 'resubmit') {
        const target = action.table ?? table;
        const depth = target > table ? visit.depth : visit.depth + 1;
        this.#enter(target, action.port ?? this.packet.inPort, depth);
      } else this.#do(action);
    }
  }

  /** Looks the packet up in a table as if it had come in on `ingress`; the rule's actions are next. */
  #enter(table: number, ingress: number, depth: number): void {
    if (depth > DEPTH_MAX || this.#lookups++ > RESUBMITS_MAX) {
      this.#because(DROP_RESUBMIT_LIMIT);
      return;
    }
    const rule = this.#lookUp(table, ingress);
    if (rule) {
      this.rules.push(rule);
      this.#visits.push({ rule, next: 0, depth });
    } else this.#because(DROP_TABLE_MISS);
  }

  #because(reason: number): void {
    if (TELLING.indexOf(reason) > TELLING.indexOf(this.reason)) this.reason = reason;
  }

  /** The first rule that matches. The packet has its real ingress port back afterwards. */
  #lookUp(table: number, ingress: number): Rule | undefined {
    const { packet } = this;
    const realIngress = packet.inPort;
    packet.inPort = ingress;
    const rule = this.#context.tables.rules(table).find((candidate) => this.#matches(candidate));
    packet.inPort = realIngress;
    return rule;
  }

  /** Whether a rule matches, with what that rests on noted as seen. */
  #matches({ match: { words, value, mask } }: Rule): boolean {
    const { packet } = this;
    let differing = -1;
    for (const word of words) {
      const difference = (packet.words[word]! ^ value[word]!) & mask[word]!;
      if (difference === 0) continue;
      if (packet.isSettled(word, difference)) return false;
      if (differing < 0) differing = word;
    }
    if (differing >= 0) packet.look(differing, mask[differing]!);
    else for (const word of words) packet.look(word, mask[word]!);
    return differing < 0;
  }

  #do(action: Exclude<Action, { kind: 'goto' | 'resubmit' }>): void {
    const { packet } = this;
    switch (action.kind) {
      case 'output':
        this.#output(action.port);
        break;
      case 'inPort':
        this.#send(packet.inPort);
        break;
      case 'flood':
      case 'all':
        this.#flood();
        break;
      case 'normal':
        this.#normal();
        break;
      case 'set':
        this.#set(action);
        break;
      case 'pushVlan':
        packet.pushTag(action.tpid);
        break;
      case 'popVlan':
        packet.popTag();
    }
  }

  #send(port: number): void {
    if (this.#context.ports.has(port)) this.emitter.output(port);
    else this.#because(DROP_NO_SUCH_PORT);
    if (this.emitter.isTooLong) this.#because(DROP_RESUBMIT_LIMIT);
  }

  #output(port: number): void {
    if (port === this.packet.inPort) this.#because(DROP_OUTPUT_TO_INGRESS);
    else this.#send(port);
  }

  #flood(): void {
    this.#because(DROP_OUTPUT_TO_INGRESS);
    for (const [port, { flooded }] of [...this.#context.ports].sort(([a], [b]) => a - b)) {
      if (port !== this.packet.inPort && flooded !== false) this.#send(port);
    }
  }

  #normal(): void {
    const verdict = forwardNormally(this.packet, this.#context, this.senders);
    if (verdict.kind === 'flood') this.#flood();
    else if (verdict.kind === 'port') this.#send(verdict.port);
    else this.#because(verdict.reason);
  }

  /** Sets a field of a packet that has it; other packets stay as they are. */
  #set(action: SetAction): void {
    const { packet } = this;
    const { field, value, mask } = action;
    if (field.offset === Key.vlanTci) {
      packet.writeTag(value[0]! | (value[1]! << 8), mask[0]! | (mask[1]! << 8), addsTag(action));
      return;
    }
    const { requires } = field;
    if (!meets(requires, packet.ethType, requires?.protocols && packet.lookAtProtocol())) return;
    if (requires?.protocols && packet.isLaterFragment) return;
    packet.write(field.offset, value, mask);
  }
}

/**
 * Walks the tables for one packet.
 * @param key KEY_SIZE bytes as in `key.ts`
 */
export function translate(key: Uint8Array, context: TranslationContext): Translation {
  const walk = new Walk(key, context);
  walk.run();
  const { packet, emitter, rules, reason, hasFailed } = walk;
  const isDropped = hasFailed || emitter.outputs === 0;
  const program = isDropped ? Emitter.drop(reason) : emitter.finish();
  return { mask: bytesOf(packet.seen), program, rules, senders: walk.senders };
}
