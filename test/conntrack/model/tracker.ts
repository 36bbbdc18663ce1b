/**
 * Connection tracking as it should be: one map from what names packets to their connection, and the rules of
 * docs/connections.md and docs/nat.md one after the other. Of what is up to a hash or to chance it is told the
 * outcome, and says whether that is allowed.
 */
import {
  CT_DNAT,
  CT_ESTABLISHED,
  CT_INVALID,
  CT_NEW,
  CT_RELATED,
  CT_REPLY,
  CT_SNAT,
  CT_TRACKED,
} from '../../../src/datapath.ts';
import type { ConnectionEvent } from '../../../src/model.ts';
import { TIMEOUTS } from '../../support/one-connection.ts';
import { SYN } from '../../support/packets.ts';
import { type Call, type Passing, stateText, type Told } from './call.ts';
import { Connection } from './connection.ts';
import { conversationOf, type Direction, isNeverSent, ORIGINAL, REPLY } from './conversation.ts';
import { Limits } from './limits.ts';
import { nameOf, reverse, type Tuple, tupleOf, whyUntrackable } from './packet.ts';
import { rewrite, rewriteError, Translator } from './translation.ts';

/** The reply tuple of the connection that the packet has begun; undefined: it has begun none. */
export type Chosen = () => Tuple | undefined;

interface Found {
  connection: Connection;
  direction: Direction;
}

type Reason = NonNullable<ConnectionEvent['reason']>;

/** The counters of reasons, as they are called where one reads them. */
const REMOVED: Readonly<Record<string, string>> = {
  expired: 'ctExpired',
  replaced: 'ctReplaced',
  flushed: 'ctFlushed',
  forced: 'ctForced',
};

const TRANSLATED = CT_SNAT | CT_DNAT;

export class Tracker {
  nowMs = 0;
  /** How many connections there are, and how many there may be. */
  size = 0;
  most: number;
  checksSequence = true;
  /** While somebody watches. */
  events: ConnectionEvent[] | undefined;
  readonly limits = new Limits();
  /** Milliseconds by zone and name, where they are not the default. */
  readonly timeouts = new Map<string, number>();
  /** How often what happened. */
  readonly tally = new Map<string, number>();
  readonly #byName = new Map<string, Found>();
  readonly #translator = new Translator((tuple) => !this.#byName.has(nameOf(tuple)));

  constructor(most: number) {
    this.most = most;
  }

  *connections(): Generator<Connection> {
    for (const { connection, direction } of this.#byName.values()) {
      if (direction === ORIGINAL) yield connection;
    }
  }

  /** Lets time go on. */
  advance(nowMs: number): void {
    this.nowMs = nowMs;
    this.remove('expired', ({ expiresMs }) => nowMs >= expiresMs);
  }

  remove(reason: Reason, isMeant: (connection: Connection) => boolean): number {
    const meant = [...this.connections()].filter(isMeant);
    for (const connection of meant) this.#remove(connection, reason);
    return meant.length;
  }

  /**
   * What ct() does.
   * @param chosen what is asked if the packet is to begin a connection that is to be translated
   */
  ct(passing: Passing, call: Call, chosen: Chosen): void {
    const { packet } = passing;
    let before = passing.told?.zone === call.zone ? passing.told : undefined;
    const why = whyUntrackable(packet);
    if (why) return this.#invalid(passing, call, why);
    if (packet.icmp?.quoted) return this.#error(passing, call, before);
    const tuple = tupleOf(packet, call.zone);
    let found: Found | undefined = before?.connection
      ? { connection: before.connection, direction: before.direction }
      : this.#byName.get(nameOf(tuple));
    if (found?.direction === REPLY && call.force) {
      this.#remove(found.connection, 'forced');
      found = this.#byName.get(nameOf(tuple));
      before = undefined;
    }
    if (!found || !this.#hit(passing, call, found, before)) this.#meet(passing, call, tuple, chosen);
  }

  /** A packet of a connection. False: it has ended that, and begins another. */
  #hit(passing: Passing, call: Call, { connection, direction }: Found, before: Told | undefined): boolean {
    let state = before?.connection === connection ? before.state : 0;
    if (state !== 0) {
      this.#count('told again');
    } else {
      const verdict = this.#hear(connection, direction, passing);
      if (verdict === 'new') {
        this.#remove(connection, 'replaced');
        return false;
      }
      if (verdict === 'invalid') {
        this.#invalid(passing, call, isNeverSent(passing.packet) ? 'ctTcpFlags' : 'ctTcpSequence');
        return true;
      }
      const isNew = verdict === 'valid new';
      state = CT_TRACKED | (isNew ? CT_NEW : CT_ESTABLISHED | (direction === REPLY ? CT_REPLY : 0));
    }
    if (call.commit) setMark(connection, call);
    if (call.nat && !(state & TRANSLATED)) state |= this.#translate(passing, connection, direction);
    this.#tell(passing, state, connection, direction);
    return true;
  }

  #hear(connection: Connection, direction: Direction, { packet, bytes }: Passing): string {
    const { conversation } = connection;
    const { timeout } = conversation;
    const verdict = conversation.go(direction, packet, this.checksSequence);
    this.#count(`protocol ${packet.protocol} ${verdict}`);
    if (verdict === 'invalid' || verdict === 'new') return verdict;
    if (verdict === 'unchecked') this.#count('ctTcpUnchecked');
    connection.packets[direction]++;
    connection.bytes[direction] += bytes;
    if (direction === REPLY) connection.isReplied = true;
    if (verdict !== 'tolerated') this.#prolong(connection);
    if (conversation.timeout !== timeout) {
      this.#count(`${timeout} to ${conversation.timeout}`);
      this.#note('update', connection);
    }
    return verdict;
  }

  #prolong(connection: Connection): void {
    const { timeout } = connection.conversation;
    const seconds = TIMEOUTS.find(([name]) => name === timeout)![1];
    connection.expiresMs =
      this.nowMs + (this.timeouts.get(`${connection.tuples[ORIGINAL].zone} ${timeout}`) ?? seconds * 1000);
  }

  /** An ICMP error: about a packet of a connection, from where that packet could get. */
  #error(passing: Passing, call: Call, before: Told | undefined): void {
    const { dst, icmp } = passing.packet;
    const quoted = icmp!.quoted!;
    const found: Found | undefined = before?.connection
      ? { connection: before.connection, direction: before.direction }
      : this.#byName.get(nameOf(reverse(tupleOf(quoted, call.zone))));
    if (!found) return this.#invalid(passing, call, 'unrelated error');
    const { connection, direction } = found;
    const isTranslated = changes(connection, direction) !== 0;
    if (!isTranslated && quoted.src !== dst) return this.#invalid(passing, call, 'misdirected error');
    if (before?.connection) this.#count('error told again');
    if (call.commit) setMark(connection, call);
    let state = before?.state ?? CT_TRACKED | CT_RELATED | (direction === REPLY ? CT_REPLY : 0);
    if (call.nat && !(state & TRANSLATED)) {
      passing.packet = rewriteError(passing.packet, connection.rewriteOf(direction));
      state |= changes(connection, direction);
    }
    this.#tell(passing, state, connection, direction);
  }

  /** A packet of no connection: begins one if it may, and is to. */
  #meet(passing: Passing, call: Call, original: Tuple, chosen: Chosen): void {
    const { packet, bytes } = passing;
    const conversation = conversationOf(packet.protocol);
    if (!conversation.begin(packet)) {
      return this.#invalid(passing, call, isNeverSent(packet) ? 'ctTcpFlags' : 'begins nothing');
    }
    const { zone } = call;
    passing.told = { zone, state: CT_NEW | CT_TRACKED, mark: 0, label: 0n, original, direction: ORIGINAL };
    this.#count('new, of no connection');
    if (!call.commit) return;
    const connection = new Connection(original, conversation, this.nowMs);
    const why = this.#whyNot(connection, call, chosen);
    if (why) return this.#count(why);
    setMark(connection, call);
    this.#prolong(connection);
    connection.packets[ORIGINAL] = 1;
    connection.bytes[ORIGINAL] = bytes;
    this.#byName.set(nameOf(connection.tuples[REPLY]), { connection, direction: REPLY });
    this.#byName.set(nameOf(original), { connection, direction: ORIGINAL });
    this.size++;
    this.#count('ctCreated');
    this.#count(`protocol ${packet.protocol} begun`);
    if (packet.tcp) this.#count(packet.tcp.flags & SYN ? 'begun by SYN' : 'begun in the middle');
    this.#note('new', connection);
    const translated = call.nat ? this.#translate(passing, connection, ORIGINAL) : 0;
    this.#tell(passing, CT_NEW | CT_TRACKED | translated, connection, ORIGINAL);
  }

  /** Why a connection is not made; what limits count, and its reply tuple, are settled if it is. */
  #whyNot(connection: Connection, { zone, nat }: Call, chosen: Chosen): string | undefined {
    if (this.size >= this.most) {
      this.#count('no more connections');
      return 'ctFull';
    }
    const count = this.limits.admit(zone);
    if (count === 'full') return 'ctZoneFull';
    if (count !== 'none') connection.count = count;
    const why = this.#whyNoTuple(connection, nat, chosen);
    if (why && connection.count) connection.count.n--;
    return why;
  }

  #whyNoTuple(connection: Connection, nat: Call['nat'], chosen: Chosen): string | undefined {
    const [original, plain] = connection.tuples;
    if (nat === undefined || nat === 'as committed') {
      if (!this.#byName.has(nameOf(plain))) return undefined;
      this.#count('reply tuple taken');
      return 'ctFull';
    }
    const reply = chosen();
    const choice = this.#translator.judge(original, nat, reply);
    this.#count(`${nat.end} translated ${choice}`);
    if (choice === 'not allowed') {
      throw new Error(`translated to ${reply ? nameOf(reverse(reply)) : 'nothing'}`);
    }
    if (!reply) return 'ctNatExhausted';
    connection.tuples[REPLY] = reply;
    return undefined;
  }

  #translate(passing: Passing, connection: Connection, direction: Direction): number {
    passing.packet = rewrite(passing.packet, connection.rewriteOf(direction));
    return changes(connection, direction);
  }

  #tell(passing: Passing, state: number, connection: Connection, direction: Direction): void {
    const { mark, label, tuples } = connection;
    const original = tuples[ORIGINAL];
    passing.told = { zone: original.zone, state, mark, label, original, connection, direction };
    this.#count(`state ${stateText(state)}`);
  }

  #invalid(passing: Passing, { zone }: Call, why: string): void {
    passing.told = { zone, state: CT_INVALID | CT_TRACKED, mark: 0, label: 0n, direction: ORIGINAL };
    this.#count('ctInvalid');
    this.#count(why);
  }

  #remove(connection: Connection, reason: Reason): void {
    for (const tuple of connection.tuples) this.#byName.delete(nameOf(tuple));
    this.size--;
    if (connection.count) connection.count.n--;
    this.#count(REMOVED[reason]!);
    this.#note('destroy', connection, reason);
  }

  #note(kind: ConnectionEvent['kind'], connection: Connection, reason?: Reason): void {
    const { nowMs } = this;
    if (!this.events) return;
    this.#count(`event ${kind} ${reason ?? ''}`);
    this.events.push({ kind, ...(reason && { reason }), atMs: nowMs, connection: connection.row(nowMs) });
  }

  #count(what: string): void {
    this.tally.set(what, (this.tally.get(what) ?? 0) + 1);
  }
}

/** CT_SNAT and CT_DNAT: which ends of the packets of a direction are translated. In replies it is the other one. */
function changes(connection: Connection, direction: Direction): number {
  const [source, destination] = direction === ORIGINAL ? [CT_SNAT, CT_DNAT] : [CT_DNAT, CT_SNAT];
  return (
    (connection.isSourceTranslated ? source : 0) | (connection.isDestinationTranslated ? destination : 0)
  );
}

function setMark(connection: Connection, { mark, label }: Call): void {
  connection.mark = ((connection.mark & ~mark.mask) | mark.value) >>> 0;
  if (label) connection.label = (connection.label & ~label.mask) | label.value;
}
