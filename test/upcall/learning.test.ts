/** What NORMAL has learned outlives ports, but for those behind them; and flows follow it. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { changeRevalidation } from '../../src/control/revalidation.ts';
import { Rounds } from '../../src/datapath.ts';
import type { MacSlice } from '../../src/upcall/macs.ts';
import { ethernet, ipv4, udp } from '../support/packets.ts';
import { SmallSwitch } from './small-switch.ts';

const portsOf = (small: SmallSwitch): string[] =>
  (small.request({ command: 'macs', from: 0 }) as MacSlice).rows.map(({ mac, port }) => `${mac} ${port}`);

const packet = (src: string, dst?: string): Uint8Array =>
  ethernet({ src, dst }, ipv4({}, udp({}, new Uint8Array(20))));

test('what was learned is known on, but for what is behind a port that goes', () => {
  const small = new SmallSwitch('actions=NORMAL');
  for (const port of [1, 2, 3]) {
    small.send(port, packet(`02:00:00:00:00:0${port}`));
    small.advance(0.001);
  }
  assert.deepEqual(portsOf(small), ['02:00:00:00:00:01 p1', '02:00:00:00:00:02 p2', '02:00:00:00:00:03 p3']);
  small.request({ command: 'ports', ports: small.ports(2) });
  assert.deepEqual(portsOf(small), ['02:00:00:00:00:01 p1', '02:00:00:00:00:03 p3']);
});

const [HOST, MOVER] = ['02:00:00:00:00:0a', '02:00:00:00:00:0b'];

/** A host behind port 1 and one that moves talk; no round begins by itself. */
class Moving extends SmallSwitch {
  readonly rounds: Rounds;

  constructor() {
    super('actions=NORMAL');
    this.rounds = new Rounds(this.rig.arena);
    changeRevalidation(this.rig.arena, 'pause', '');
    assert.deepEqual(this.#reach(), [2, 3], 'nobody knows where it is');
    for (const port of [2, 3]) {
      this.speakFrom(port);
      this.request({ command: 'wait' });
      assert.deepEqual(this.#reach(), [port]);
    }
  }

  speakFrom(port: number): void {
    this.advance(0.001);
    assert.deepEqual(this.send(port, packet(MOVER, HOST)), [1]);
  }

  #reach(): number[] {
    return this.send(1, packet(HOST, MOVER));
  }

  /** It moves to and fro, where flows that it had there before take its packets; each time `act` is acknowledged. */
  assertFollowed(act: () => void): void {
    const { upcalls } = this.rig.observer.totals();
    for (const port of [2, 3, 2]) {
      this.speakFrom(port);
      act();
      assert.deepEqual(this.#reach(), [port]);
    }
    assert.equal(this.rig.observer.totals().upcalls, upcalls, 'flows took each packet');
  }
}

test('flows follow a station, of whose move only the credit of a flow tells, before a wait is answered', () => {
  const small = new Moving();
  small.assertFollowed(() => small.request({ command: 'wait' }));
});

test('… and before a change is answered that has nothing to do with it', () => {
  const small = new Moving();
  small.assertFollowed(() => small.ask('flows', 'add', 'table=1,actions=drop'));
  small.assertFollowed(() => small.request({ command: 'ports', ports: small.ports() }));
});

test('… and by itself 5 ms after the round that credits it', () => {
  const small = new Moving();
  changeRevalidation(small.rig.arena, 'resume', '');
  small.assertFollowed(() => small.advance(0.505));
});

test('a wait takes another round when a station has moved, and no more when it is in two places', () => {
  const small = new Moving();
  const roundsOfWait = () => {
    const before = small.rounds.get('rounds');
    small.request({ command: 'wait' });
    return small.rounds.get('rounds') - before;
  };
  assert.equal(roundsOfWait(), 1);
  for (const ports of [
    [3, 2],
    [2, 3],
  ]) {
    for (const port of ports) small.speakFrom(port);
    assert.equal(roundsOfWait(), 2);
  }
  assert.equal(roundsOfWait(), 1);
});
