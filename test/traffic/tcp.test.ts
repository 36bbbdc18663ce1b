/** The TCP server seen from outside, segment by segment. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Address } from '../../src/port/traffic/addresses.ts';
import { type Hosts, MAX_FRAME_BYTES } from '../../src/port/traffic/hosts.ts';
import { ACK, FIN, PSH, RST, type Segment, SYN } from '../../src/port/traffic/segment.ts';
import { responseOf } from '../../src/port/traffic/stream.ts';
import { makeHosts } from './lan.ts';
import { ask, emitted, OUTSIDER_IPV4, readSegment, segment } from './outsider.ts';

const PAGE_BYTES = responseOf(10_000).length;
const OUR_SEQUENCE = -3; // so that it wraps soon

/** A client made of single segments. Sequences count from the SYN: 0 is the SYN, 1 the first byte. */
class Client {
  readonly hosts: Hosts;
  nowMs = 0;
  private theirSequence = 0;

  constructor(hosts: Hosts = makeHosts()) {
    this.hosts = hosts;
  }

  /** Sends a segment and returns what the server sends thereupon. */
  say(
    flags: number,
    sequence: number,
    acknowledgment: number,
    more: { data?: string; window?: number } = {},
  ) {
    const absolute = {
      sequence: OUR_SEQUENCE + sequence,
      acknowledgment: flags & ACK ? this.theirSequence + acknowledgment : 0,
    };
    return this.read(ask(this.hosts, segment({ flags, ...absolute, ...more }), this.nowMs));
  }

  wait(ms: number) {
    this.nowMs += ms;
    return this.read(emitted(this.hosts, this.nowMs));
  }

  /** Sends SYN and notes the server's sequence. */
  open(): this {
    const [answer] = ask(
      this.hosts,
      segment({ flags: SYN, sequence: OUR_SEQUENCE, maxSegment: 1000 }),
      this.nowMs,
    );
    this.theirSequence = readSegment(answer).sequence;
    return this;
  }

  /** Goes through the whole handshake. */
  connect(window = 0xffff): this {
    this.open();
    this.say(ACK, 1, 1, { window });
    return this;
  }

  private read(frames: Uint8Array[]) {
    return frames.map(readSegment).map(({ flags, sequence, acknowledgment, dataLength }: Segment) => ({
      flags,
      sequence: (sequence - this.theirSequence) | 0,
      acknowledgment: (acknowledgment - OUR_SEQUENCE) | 0,
      dataLength,
    }));
  }
}

test('the server answers SYN with SYN and ACK, and says how large segments may be', () => {
  const hosts = makeHosts();
  const [frame] = ask(hosts, segment({ flags: SYN, sequence: 77 }), 0);
  const answer = readSegment(frame);
  assert.equal(answer.flags, SYN | ACK);
  assert.equal(answer.acknowledgment, 78);
  assert.equal(answer.maxSegment, 1460);
  assert.equal(hosts.statistics.connectionsAccepted, 0, 'not before the handshake is over');
});

test('the server sends the page in segments of the size asked for, closes, and lingers', () => {
  const client = new Client().connect();
  assert.equal(client.hosts.statistics.connectionsAccepted, 1);
  const page = client.say(ACK | PSH, 1, 1, { data: 'GET' });
  assert.equal(
    page.reduce((sum, { dataLength }) => sum + dataLength, 0),
    PAGE_BYTES,
  );
  assert.ok(page.every(({ dataLength, acknowledgment }) => dataLength <= 1000 && acknowledgment === 4));
  assert.equal(page.at(-1)!.flags, ACK | PSH | FIN);
  const end = PAGE_BYTES + 2;
  assert.deepEqual(client.say(ACK | FIN, 4, end), [
    { flags: ACK, sequence: end, acknowledgment: 5, dataLength: 0 },
  ]);
  assert.deepEqual(client.say(ACK | FIN, 4, end), [
    { flags: ACK, sequence: end, acknowledgment: 5, dataLength: 0 },
  ]);
  assert.deepEqual(client.wait(500), []);
  assert.equal(client.hosts.dueMs(), Infinity, 'nothing is left');
  assert.equal(client.say(ACK | FIN, 4, end)[0].flags, RST);
});

test('a new SYN takes the place of a connection that lingers', () => {
  const client = new Client().connect();
  client.say(ACK | PSH, 1, 1, { data: 'GET' });
  client.say(ACK | FIN, 4, PAGE_BYTES + 2);
  assert.equal(client.say(SYN, 100_000, 0)[0].flags, SYN | ACK);
});

test('what is not acknowledged is sent again after 200, 400, 800 and 1600 ms, then reset', () => {
  const client = new Client().connect(1000);
  const sent = client.say(ACK | PSH, 1, 1, { data: 'GET', window: 1000 });
  assert.equal(sent.length, 1);
  for (const ms of [200, 400, 800, 1600]) {
    assert.deepEqual(client.wait(ms - 1), []);
    assert.deepEqual(client.wait(1), sent);
  }
  assert.equal(client.hosts.statistics.segmentsRetransmitted, 4);
  assert.deepEqual(
    client.wait(3200).map(({ flags }) => flags),
    [RST | ACK],
  );
  assert.equal(client.hosts.dueMs(), Infinity);
});

test('after a loss the server goes back to what is acknowledged', () => {
  const client = new Client().connect();
  client.say(ACK | PSH, 1, 1, { data: 'GET' });
  assert.deepEqual(client.say(ACK, 4, 3001), []);
  const again = client.wait(200);
  assert.equal(again[0].sequence, 3001);
  assert.equal(again.at(-1)!.flags, ACK | PSH | FIN);
});

test('the server never sends more than the window, and probes one that is closed', () => {
  const client = new Client().connect();
  const burst = client.say(ACK | PSH, 1, 1, { data: 'GET', window: 2500 });
  assert.deepEqual(
    burst.map(({ dataLength }) => dataLength),
    [1000, 1000, 500],
  );
  assert.deepEqual(
    client.say(ACK, 4, 2501, { window: 0 }).map(({ dataLength }) => dataLength),
    [1],
  );
  for (let count = 0; count < 20; count++) {
    assert.deepEqual(
      client.wait(400).map(({ sequence, dataLength }) => [sequence, dataLength]),
      [[2501, 1]],
    );
    assert.deepEqual(client.say(ACK, 4, 2501, { window: 0 }), []);
  }
  const opened = client.say(ACK, 4, 2501, { window: 4000 });
  assert.equal(
    opened.reduce((sum, { dataLength }) => sum + dataLength, 0),
    3999,
  );
});

test('data out of order is answered with what is expected, and not taken', () => {
  const client = new Client().connect();
  const expected = [{ flags: ACK, sequence: 1, acknowledgment: 1, dataLength: 0 }];
  assert.deepEqual(client.say(ACK | PSH, 2, 1, { data: 'ET' }), expected);
  assert.deepEqual(client.say(ACK | PSH, 0, 1, { data: 'x' }), expected, 'data from before');
  assert.deepEqual(client.say(ACK, 0, 1), expected, 'as keep-alives are');
  assert.equal(client.say(ACK | PSH, 0, 1, { data: 'xG' })[0].acknowledgment, 2, 'old and new together');
});

test('SYN again is answered again; a SYN in the middle only with an acknowledgment', () => {
  const client = new Client().open();
  assert.equal(client.say(SYN, 0, 0)[0].flags, SYN | ACK);
  client.connect();
  assert.equal(client.say(SYN, 0, 0)[0].flags, ACK);
  assert.equal(client.say(SYN, 500, 0)[0].flags, ACK);
});

test('nobody gets a page without having received the SYN', () => {
  const client = new Client().open();
  assert.deepEqual(client.say(ACK | PSH, 1, 0, { data: 'GET' }), []);
  assert.equal(client.hosts.statistics.connectionsAccepted, 0);
});

test('a reset ends a connection only when its sequence is exactly right', () => {
  const client = new Client().connect();
  assert.equal(client.say(RST, 2, 0)[0].flags, ACK);
  assert.deepEqual(client.say(RST, 100_000, 0), []);
  assert.deepEqual(client.say(RST, 1, 0), []);
  assert.equal(client.hosts.dueMs(), Infinity);
  assert.equal(client.say(ACK, 1, 1)[0].flags, RST);
});

test('a connection on which nothing happens is reset', () => {
  const client = new Client().connect();
  assert.deepEqual(client.wait(9_999), []);
  assert.equal(client.wait(1)[0].flags, RST | ACK);
  assert.equal(client.hosts.dueMs(), Infinity);
});

test('a client that closes without asking is let go', () => {
  const client = new Client().connect();
  assert.deepEqual(client.say(ACK | FIN, 1, 1), [
    { flags: ACK | FIN, sequence: 1, acknowledgment: 2, dataLength: 0 },
  ]);
  client.say(ACK, 2, 2);
  assert.deepEqual(client.wait(500), []);
  assert.equal(client.hosts.dueMs(), Infinity);
});

test('other ports, and what belongs to no connection, are answered with a reset that fits', () => {
  const hosts = makeHosts();
  const answerTo = (fields: Parameters<typeof segment>[0]): Segment | undefined =>
    ask(hosts, segment(fields), 0).map(readSegment)[0];
  const refused = answerTo({ port: 81, flags: SYN, sequence: 5 })!;
  assert.deepEqual([refused.flags, refused.sequence, refused.acknowledgment], [RST | ACK, 0, 6]);
  const strange = answerTo({ flags: ACK, sequence: 5, acknowledgment: 99, data: 'abc' })!;
  assert.deepEqual([strange.flags, strange.sequence], [RST, 99]);
  assert.equal(answerTo({ flags: RST, sequence: 5 }), undefined);
});

test('when the connection table is full, SYNs are dropped and counted, and it empties again', () => {
  const hosts = makeHosts();
  const memory = new Uint8Array(MAX_FRAME_BYTES);
  const drain = (nowMs: number): void => {
    while (hosts.emit(memory, 0, nowMs) > 0);
  };
  for (const local of [OUTSIDER_IPV4, new Address().setIpv4(0x0a000002)]) {
    for (let localPort = 0; localPort < 40_000; localPort++) {
      const frame = segment({ flags: SYN, local, localPort });
      hosts.receive(frame, 0, frame.length, 0);
    }
  }
  assert.equal(hosts.statistics.connectionsRefused, 80_000 - 65_536);
  for (const nowMs of [0, 200, 600, 1400, 3000, 6200]) drain(nowMs);
  assert.equal(hosts.dueMs(), Infinity);
  const frame = segment({ flags: SYN });
  assert.equal(readSegment(ask(hosts, frame, 6200)[0]).flags, SYN | ACK);
});
