/** What becomes of installed flows: limits, rounds that are paused, wanted and purge, and who leads them. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { changeRevalidation, type SettingAction } from '../../src/control/revalidation.ts';
import { Rounds } from '../../src/datapath.ts';
import { TableOwner } from '../../src/upcall/owner.ts';
import { Revalidator } from '../../src/upcall/revalidator.ts';
import { slowOn } from '../../src/upcall/slow.ts';
import { ethernet, ipv4, udp } from '../support/packets.ts';
import { Rig } from '../support/rig.ts';
import { NO_LIMITS, SmallSwitch } from './small-switch.ts';

const KINDS = 60;

/** Each kind of packet has a rule of its own, and so a flow. */
const flowsFor = (action: string): string =>
  Array.from({ length: KINDS }, (_, kind) => `udp,tp_src=${kind},actions=${action}`).join('\n');

const packet = (kind: number, src = '02:00:00:00:00:01'): Uint8Array =>
  ethernet({ src }, ipv4({}, udp({ src: kind })));

class Upkept extends SmallSwitch {
  readonly rounds: Rounds;

  constructor(action = 'output:2') {
    super(flowsFor(action));
    this.rounds = new Rounds(this.rig.arena);
  }

  change(action: SettingAction, text = ''): string[] {
    return changeRevalidation(this.rig.arena, action, text);
  }

  /** A packet of each kind from `first` on comes in; each leaves where it is to, whatever becomes of its flow. */
  sendKinds(first: number, count: number): void {
    for (let kind = first; kind < first + count; kind++) {
      assert.deepEqual(this.send(1, packet(kind)), [2], `kind ${kind}`);
    }
  }

  get live(): number {
    return this.rig.observer.liveFlows();
  }

  get evictions(): Record<string, number> {
    const all = Object.entries(this.rig.observer.evictions());
    return Object.fromEntries(all.filter(([, flows]) => flows > 0));
  }

  get coverage(): Record<string, number> {
    return this.rig.observer.coverage();
  }

  /** Packets that rules know of by now. */
  get credited(): number {
    const numbers = Array.from({ length: KINDS }, (_, number) => number);
    return numbers.reduce((sum, number) => sum + this.rig.observer.rule(number).packets, 0);
  }
}

test('above the flow limit packets are forwarded all the same, and counted', () => {
  const small = new Upkept();
  small.change('set', 'flow-limit=5');
  small.sendKinds(0, 8);
  assert.equal(small.live, 5);
  assert.equal(small.coverage.upcall_flow_limit_hit, 3);
  small.sendKinds(0, 8);
  assert.equal(small.coverage.upcall_flow_limit_hit, 6);
  small.change('set', 'flow-limit=20');
  small.sendKinds(0, 8);
  assert.equal(small.live, 8);
  assert.equal(small.coverage.upcall_flow_limit_hit, 6);
});

test('without room for any flow each packet is translated', () => {
  const small = new Upkept();
  small.change('set', 'flow-limit=0');
  small.sendKinds(0, 3);
  small.sendKinds(0, 3);
  assert.deepEqual([small.live, small.coverage.upcall_flow_limit_hit], [0, 6]);
  assert.deepEqual(small.flows()[0], 'n_packets=2, udp,tp_src=0 actions=output:p2');
});

test('a flow that no packet takes for max-idle goes', () => {
  const small = new Upkept();
  small.change('set', 'max-idle=2000');
  small.sendKinds(0, 2);
  small.advance(1.9);
  assert.equal(small.live, 2);
  small.sendKinds(0, 1);
  small.advance(1);
  assert.deepEqual([small.live, small.evictions], [1, { flow_idle: 1 }]);
  small.advance(3);
  assert.deepEqual([small.live, small.evictions], [0, { flow_idle: 2 }]);
});

test('while there are more flows than may be, a tenth of a second is too idle', () => {
  const small = new Upkept();
  small.sendKinds(0, 30);
  small.change('set', 'flow-limit=20');
  assert.equal(small.rounds.idleMs, 100);
  small.advance(0.2);
  small.sendKinds(0, 15);
  small.request({ command: 'wait' });
  assert.deepEqual([small.live, small.evictions], [15, { flow_idle: 15 }]);
  assert.equal(small.rounds.idleMs, 10_000);
  assert.equal(small.coverage.upcall_flow_limit_kill, 0);
});

test('twice as many flows as may be all go', () => {
  const small = new Upkept();
  small.sendKinds(0, 41);
  small.change('set', 'flow-limit=20');
  small.advance(0.05);
  small.request({ command: 'wait' });
  assert.deepEqual([small.live, small.evictions], [0, { flow_limit: 41 }]);
  assert.equal(small.coverage.upcall_flow_limit_kill, 1);
});

/**
 * Within a second one flow gets ten packets and one a single one, at the very end. Then an address is learned, and all
 * are to be translated again by dumps of which the last took so long.
 */
function learnAfter(dumpMs: number, settings: string): Upkept {
  const small = new Upkept('NORMAL');
  small.advance(1);
  small.send(2, packet(0, '02:00:00:00:00:02'));
  small.change('set', settings);
  small.sendKinds(1, 2);
  small.request({ command: 'wait' });
  small.change('pause');
  small.advance(1);
  for (let i = 0; i < 10; i++) small.sendKinds(1, 1);
  small.sendKinds(2, 1);
  small.send(1, packet(3, '02:00:00:00:00:03'));
  small.rounds.set('dumpMs', dumpMs);
  small.request({ command: 'wait' });
  return small;
}

test('when dumps take long, flows with few packets a second are not translated again', () => {
  const gone = learnAfter(250, 'max-revalidator=500').evictions;
  assert.deepEqual(gone, { too_expensive: 2 }, 'the one with a packet, and the one without any');
  assert.deepEqual(learnAfter(249, 'max-revalidator=500').evictions, {});
  assert.deepEqual(learnAfter(250, 'max-revalidator=500 min-revalidate-pps=0').evictions, {});
  assert.deepEqual(learnAfter(250, 'max-revalidator=500 min-revalidate-pps=11').evictions, {
    too_expensive: 3,
  });
});

test('paused, no round begins by itself, but for who wants one', () => {
  const small = new Upkept();
  small.change('pause');
  const rounds = small.rounds.get('rounds');
  small.sendKinds(0, 2);
  small.advance(60);
  assert.deepEqual([small.live, small.rounds.get('rounds')], [2, rounds]);
  assert.equal(small.credited, 0);
  assert.deepEqual(small.request({ command: 'wait' }), ['every flow has been seen to']);
  assert.deepEqual([small.live, small.rounds.get('rounds')], [0, rounds + 1]);
  assert.equal(small.credited, 2);
  small.sendKinds(0, 2);
  small.advance(60);
  assert.equal(small.live, 2);
  small.change('resume');
  small.advance(1);
  assert.equal(small.live, 0);
});

test('after a round that was waited for, rules know of every packet', () => {
  const small = new Upkept();
  small.change('pause');
  for (let i = 1; i <= 3; i++) {
    small.sendKinds(0, 20);
    small.request({ command: 'wait' });
    assert.equal(small.credited, 20 * i);
  }
});

test('a purge removes the flows that there are, and none that come later', () => {
  const small = new Upkept();
  small.sendKinds(0, 30);
  assert.deepEqual(small.request({ command: 'purge' }), ['30 flows removed']);
  assert.deepEqual([small.live, small.evictions], [0, { purge: 30 }]);
  assert.equal(small.credited, 30);
  small.sendKinds(0, 10);
  small.advance(5);
  assert.deepEqual([small.live, small.evictions], [10, { purge: 30 }]);
  assert.deepEqual(small.request({ command: 'purge' }), ['10 flows removed']);
  assert.deepEqual(small.request({ command: 'purge' }), ['0 flows removed']);
});

test('an evicted flow is replaced at once, or else is in the way until it is swept', () => {
  const small = new Upkept();
  small.sendKinds(0, 1);
  small.request({ command: 'purge' });
  small.sendKinds(0, 1);
  assert.deepEqual([small.live, small.coverage.upcall_ukey_replace], [1, 1]);
  small.request({ command: 'purge' });
  assert.deepEqual(small.change('replace', 'off'), ['replacing evicted flows is off']);
  small.sendKinds(0, 1);
  assert.deepEqual([small.live, small.coverage.upcall_ukey_replace], [0, 1]);
  small.advance(1);
  small.sendKinds(0, 1);
  assert.deepEqual([small.live, small.coverage.upcall_ukey_replace], [1, 1], 'swept, though none was left');
});

test('settings that are wrong change nothing', () => {
  const small = new Upkept();
  const wrong: [string, RegExp][] = [
    ['', /found nothing|nothing; expected flow-limit=NUMBER/],
    ['max-idle=500 flow-limt=3', /column 14: unknown option "flow-limt"; did you mean flow-limit\?/],
    [
      'max-idle=500 flow-limit=1025',
      /"1025"; expected a number of flows within limits.flows, from 0 to 1024/,
    ],
    ['max-idle=500 max-revalidator=99', /"99"; expected milliseconds from 100 to 3600000/],
    ['max-idle=500 min-revalidate-pps=-1', /"-1"; expected packets a second from 0 to 1000000/],
    ['max-idle=500 max-idle=600', /"max-idle" twice/],
    ['max-idle', /without a value; expected max-idle=NUMBER/],
  ];
  for (const [text, message] of wrong) assert.throws(() => small.change('set', text), message, text);
  assert.throws(() => small.change('replace', 'perhaps'), /"perhaps"; expected on or off/);
  assert.equal(small.rounds.get('maxIdleMs'), 10_000);
  const all = 'flow-limit=7,max-idle=500 max-revalidator=200,min-revalidate-pps=3';
  assert.deepEqual(small.change('set', all), ['4 settings changed']);
  const fields = ['mostFlows', 'maxIdleMs', 'maxRevalidatorMs', 'minRevalidatePps'] as const;
  assert.deepEqual(
    fields.map((field) => small.rounds.get(field)),
    [7, 500, 200, 3],
  );
  assert.equal(small.rounds.flowLimit, 7);
});

/** A switch with two revalidators, on threads 2 and 3, in this one JavaScript thread. */
function twoRevalidators(): { rig: Rig; rounds: Rounds; first: Revalidator; second: Revalidator } {
  const rig = new Rig({ threads: 4, handlers: 1, revalidators: 2 });
  const options = { ports: [], flows: '', rules: NO_LIMITS, macAgeingMs: 300_000 };
  const owner = new TableOwner(rig.arena, options, () => 0);
  const slow = (thread: number) => slowOn(rig.threads[thread]!, options.macAgeingMs, owner.whole(), () => {});
  const [first, second] = [new Revalidator(slow(2), 0), new Revalidator(slow(3), 1)];
  return { rig, rounds: new Rounds(rig.arena), first, second };
}

test('a round has not seen to every flow when a revalidator came to it late', () => {
  const { first, second } = twoRevalidators();
  first.begin();
  const wanted = first.want();
  for (let i = 0; i < 2; i++) first.round(0); // alone: begins, dumps
  second.begin();
  for (let i = 0; i < 2; i++) for (const one of [second, first]) one.round(0);
  assert.equal(first.has(wanted), false, 'nobody has dumped the share of the second');
  for (let i = 0; i < 8; i++) for (const one of [second, first]) one.round(0);
  assert.equal(first.has(wanted), true);
});

test('a revalidator that leads again takes no round of long ago for its own', () => {
  const { rig, rounds, first, second } = twoRevalidators();
  const limit = rounds.flowLimit;
  second.begin();
  second.want();
  second.round(0);
  first.begin();
  const both = (nowMs: number) => {
    for (const one of [first, second]) for (let i = 0; i < 4; i++) one.round(nowMs);
  };
  for (let i = 0; i < 4; i++) both(1);
  first.want();
  for (let i = 0; i < 4; i++) both(2);
  assert.ok(rounds.get('rounds') > 0, 'the first leads');
  rig.threads[2]!.exports.releaseLocks();
  for (let i = 0; i < 8; i++) second.round(60_000);
  assert.equal(rounds.flowLimit, limit);
  assert.ok(rounds.get('dumpMs') < 60_000);
});

test('a flow for whose successor there is no room goes with the sweep, before the change is answered', () => {
  // What is moved decides: so each source port has a flow of its own, as many as there are records.
  const move = (port: number) => `actions=move:NXM_OF_UDP_SRC[]->NXM_NX_REG0[0..15],output:${port}`;
  const small = new SmallSwitch(`udp,${move(2)}`);
  const { flows } = small.rig.arena.limits;
  for (let kind = 0; kind < flows; kind++) assert.deepEqual(small.send(1, packet(kind)), [2]);
  const live = small.rig.observer.liveFlows();
  assert(live > flows / 2);
  small.ask('flows', 'modify', `udp,${move(3)}`);
  assert(small.rig.observer.evictions().update_fail! > 0);
  for (let kind = 0; kind < flows; kind++) assert.deepEqual(small.send(1, packet(kind)), [3]);
});
