/** What is shared when connections are tracked: packets take no lock of the table's, connections one when they begin. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { isMainThread } from 'node:worker_threads';
import { ConnectionPackets } from '../../src/bench/connection-packets.ts';
import { LIFE, UDP } from '../../src/bench/packet-kinds.ts';
import {
  BATCH,
  COUNT_CT_CREATED,
  COUNT_CT_SHARD_LOCKS,
  COUNTERS,
  CT_COMMIT,
  CT_ESTABLISHED,
  CT_NAT,
  CT_NEW,
  CT_REPLY,
  CT_SNAT,
  CT_TRACKED,
  regionAddress,
} from '../../src/datapath.ts';
import { crew, type Job, shared, work } from '../support/crew.ts';
import { ACK, ethernet, ipv4, SYN, tcp } from '../support/packets.ts';
import { Rig } from '../support/rig.ts';
import { SmallSwitch } from '../upcall/small-switch.ts';

const THREADS = 2;
/** Of each thread. */
const CONNECTIONS = 1024;
const PACKETS = 500_000;
/** As many ports as connections, so that each finds the reply tuple that it picks free. */
const OUTSIDE = { first: 0xc633_6400, last: 0xc633_6407 };

/** Packets of a life that establish a connection; the next one has data. */
const HANDSHAKE = 3;

function counted(rig: Rig, which: number): number {
  const at = regionAddress(rig.arena, 'counters') >> 3;
  return rig.threads.reduce((sum, { u64, thread }) => sum + Number(u64[at + thread * COUNTERS + which]!), 0);
}

/** Has `packets` be of this thread's connections in turn, and tracks `n` of them. */
function track(packets: ConnectionPackets, thread: number, n: number, flags: number, state: number): void {
  for (let done = 0; done < n; done += BATCH) {
    packets.place(thread * CONNECTIONS + (done % CONNECTIONS), BATCH);
    packets.track(BATCH, flags);
    packets.check(state);
  }
}

const establish: Job = (datapath) => {
  const states = [CT_NEW, CT_ESTABLISHED, CT_ESTABLISHED] as const;
  LIFE.slice(0, HANDSHAKE).forEach((kind, i) => {
    const packets = new ConnectionPackets(datapath, kind);
    const reply = kind.fromServer ? CT_REPLY : 0;
    track(packets, datapath.thread, CONNECTIONS, CT_COMMIT, states[i]! | reply | CT_TRACKED);
  });
  datapath.exports.leave();
};

const send: Job = (datapath) => {
  const packets = new ConnectionPackets(datapath, LIFE[HANDSHAKE]!);
  track(packets, datapath.thread, PACKETS, CT_COMMIT, CT_ESTABLISHED | CT_TRACKED);
  datapath.exports.leave();
};

const translate: Job = (datapath) => {
  datapath.exports.setSourceRange(OUTSIDE.first, OUTSIDE.last);
  const packets = new ConnectionPackets(datapath, UDP);
  track(packets, datapath.thread, CONNECTIONS, CT_COMMIT | CT_NAT, CT_NEW | CT_SNAT | CT_TRACKED);
  datapath.exports.leave();
};

/** The arena's last thread has nothing to do. */
const rest: Job = () => {};

const trackingRig = (): Rig => new Rig({ threads: THREADS + 1, connections: 4 * THREADS * CONNECTIONS });

const together = (rig: Rig, job: string): Promise<unknown[]> =>
  crew(import.meta.url, rig.arena, [...Array(THREADS).fill(job), 'rest'], shared(1), 1);

const tests = (): void => {
  test('a million packets of established connections, of two threads, take no lock of the table', async () => {
    const rig = trackingRig();
    await together(rig, 'establish');
    const made = THREADS * CONNECTIONS;
    assert.deepEqual([counted(rig, COUNT_CT_CREATED), counted(rig, COUNT_CT_SHARD_LOCKS)], [made, made]);
    await together(rig, 'send');
    assert.deepEqual([counted(rig, COUNT_CT_CREATED), counted(rig, COUNT_CT_SHARD_LOCKS)], [made, made]);
  });

  test('a connection that is translated takes two locks to begin, its packets none', async () => {
    const rig = trackingRig();
    await together(rig, 'translate');
    const made = THREADS * CONNECTIONS;
    assert.deepEqual([counted(rig, COUNT_CT_CREATED), counted(rig, COUNT_CT_SHARD_LOCKS)], [made, 2 * made]);
    await together(rig, 'translate');
    assert.deepEqual([counted(rig, COUNT_CT_CREATED), counted(rig, COUNT_CT_SHARD_LOCKS)], [made, 2 * made]);
  });

  test('the same through ct() in rules', () => {
    const small = new SmallSwitch(`
      table=0,ip,actions=ct(table=1)
      table=1,ip,ct_state=+est,in_port=1,actions=2
      table=1,ip,ct_state=+est,in_port=2,actions=1
      table=1,priority=1,ip,ct_state=+new,in_port=1,actions=ct(commit),2`);
    const [client, server] = [
      { src: '10.0.1.1', dst: '10.0.2.2' },
      { src: '10.0.2.2', dst: '10.0.1.1' },
    ];
    const out = ethernet({}, ipv4(client, tcp({ src: 5000, dst: 80, seq: 100, ack: 500 })));
    const back = ethernet({}, ipv4(server, tcp({ src: 80, dst: 5000, seq: 500, ack: 100 })));
    const beginning = tcp({ src: 5000, dst: 80, seq: 99, flags: SYN });
    const answer = tcp({ src: 80, dst: 5000, seq: 499, ack: 100, flags: SYN | ACK });
    assert.deepEqual(small.send(1, ethernet({}, ipv4(client, beginning))), [2]);
    assert.deepEqual(small.send(2, ethernet({}, ipv4(server, answer))), [1]);
    assert.equal(counted(small.rig, COUNT_CT_SHARD_LOCKS), 1);
    for (let i = 0; i < 1000; i++) assert.deepEqual([small.send(1, out), small.send(2, back)], [[2], [1]]);
    assert.equal(counted(small.rig, COUNT_CT_SHARD_LOCKS), 1);
  });
};

if (isMainThread) tests();
else work({ establish, send, translate, rest });
