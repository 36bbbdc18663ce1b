/** TCP connections: held against the naive twin, and the conversations that a firewall sees. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  Connection,
  Peer,
  Segment,
  TCP_ESTABLISHED,
  TCP_FIN_WAIT_2,
  TCP_SYN_SENT,
  TCP_TIME_WAIT,
  WINDOW_SCALE_UNKNOWN,
  WINDOW_SCALED,
} from '../../src/datapath.ts';
import { NaiveTcp, STATES, type TcpEnd, type TcpSegment, type Verdict } from '../support/naive-tcp.ts';
import { OneConnection, TIMEOUTS } from '../support/one-connection.ts';
import { ACK, ethernet, FIN, ipv4, PSH, RST, SYN, tcp, URG } from '../support/packets.ts';
import { Rig } from '../support/rig.ts';
import { chance, pick, type Random, seeded, word } from '../support/seeded.ts';

const rig = new Rig();
const { exports, u8, u16, u32 } = rig.datapath;

// Against the twin

const VERDICTS: readonly Verdict[] = ['invalid', 'valid', 'tolerated', 'valid new', 'new'];
const PROTO = 64 + 37; // of the original tuple
const SLACK = 65535 + 1500;

const connection = new OneConnection(rig);

/** Puts the segment where `extract` would. */
function write({ seq, ack, length, window, flags, scale }: TcpSegment): number {
  const at = exports.ownSegment();
  u32[(at + Segment.seq) >> 2] = seq;
  u32[(at + Segment.ack) >> 2] = ack;
  u32[(at + Segment.length) >> 2] = length;
  u16[(at + Segment.window) >> 1] = window;
  u8[at + Segment.flags] = flags;
  u8[at + Segment.windowScale] = scale === undefined ? 0 : WINDOW_SCALED | scale;
  return at;
}

function end(direction: number): TcpEnd {
  const at = connection.peer(direction);
  const scale = u8[at + Peer.windowScale]!;
  return {
    seqLow: u32[(at + Peer.seqLow) >> 2]!,
    seqHigh: u32[(at + Peer.seqHigh) >> 2]!,
    maxWindow: u16[(at + Peer.maxWindow) >> 1]!,
    scale: scale & WINDOW_SCALED ? scale & 15 : scale === WINDOW_SCALE_UNKNOWN ? 'unknown' : undefined,
    state: STATES[u8[at + Peer.state]!]!,
  };
}

function begin(segment: TcpSegment): boolean {
  connection.clear();
  u8[connection.address + PROTO] = 6;
  return exports.beginConnection(connection.address, write(segment)) !== 0;
}

/** What a host might send that knows what the middle knows, and what it might not. */
function randomSegment(random: Random, twin: NaiveTcp, direction: 0 | 1): TcpSegment {
  const src = twin.ends[direction];
  const dst = twin.ends[1 - direction]!;
  const size = (scale: TcpEnd['scale']) => 2 ** (scale === 'unknown' ? 14 : (scale ?? 0));
  const near = (n: number) => n + (chance(random, 0.5) ? 0 : random.below(5) - 2);
  const length = pick(random, [0, 0, 0, 1, 1460, 1460, random.below(65536)]);
  const seqs = [
    src.seqLow - dst.maxWindow * size(dst.scale),
    src.seqLow - SLACK,
    src.seqHigh - length,
    src.seqHigh + SLACK - length,
    word(random),
  ];
  const acks = [dst.seqLow + SLACK, dst.seqLow - SLACK * size(src.scale), dst.seqHigh, 0, word(random)];
  const flags = [ACK, ACK, ACK, ACK | PSH, ACK | PSH, ACK | FIN, SYN, SYN | ACK, RST, RST | ACK];
  return {
    flags: chance(random, 0.97) ? pick(random, flags) : random.below(256),
    seq: near(chance(random, 0.8) ? src.seqLow : pick(random, seqs)) >>> 0,
    ack: near(chance(random, 0.8) ? dst.seqLow : pick(random, acks)) >>> 0,
    window: pick(random, [0, 1, 512, 65535, random.below(65536)]),
    length,
    scale: chance(random, 0.7) ? random.below(15) : undefined,
  };
}

test(
  'agrees with the naive twin on random conversations, with and without checks of sequence numbers',
  seeded((random) => {
    const seen = new Map<string, number>();
    const note = (what: string) => seen.set(what, (seen.get(what) ?? 0) + 1);
    const twin = new NaiveTcp();
    for (let conversation = 0; conversation < 4000; conversation++) {
      const checked = chance(random, 0.9);
      connection.checksSequence = checked;
      const first = { ...randomSegment(random, twin, 0), seq: pick(random, [0, 2 ** 32 - 3, word(random)]) };
      if (chance(random, 0.9)) first.flags = pick(random, [SYN, SYN, ACK]);
      if (!(first.flags & SYN)) first.scale = undefined;
      const begins = twin.begin(first);
      assert.equal(begin(first), begins);
      if (!begins) continue;
      for (let i = 0; i < 40; i++) {
        const direction = i === 0 && chance(random, 0.7) ? 1 : pick(random, [0, 1] as const);
        const segment = randomSegment(random, twin, direction);
        if (i === 0 && direction === 1 && chance(random, 0.8)) segment.flags = SYN | ACK;
        if (!(segment.flags & SYN)) segment.scale = undefined;
        const before = structuredClone(twin.ends);
        const expected = twin.packet(direction, segment, checked);
        const actual = VERDICTS[exports.advanceConnection(connection.address, direction, write(segment))];
        const context = JSON.stringify({ before, direction, segment, checked });
        assert.equal(actual, expected, context);
        assert.deepEqual([end(0), end(1)], twin.ends, context);
        assert.equal(TIMEOUTS[u8[connection.address + Connection.timeout]!]![0], twin.timeout, context);
        note(expected);
        note(twin.timeout);
        if (expected === 'new') break;
      }
    }
    connection.checksSequence = true;
    const rare = [...VERDICTS, ...TIMEOUTS.slice(0, 6).map(([name]) => name)].filter(
      (what) => (seen.get(what) ?? 0) < 100,
    );
    assert.deepEqual(rare, [], 'every verdict and every timeout comes up');
  }),
);

// Conversations

interface Says {
  flags?: number;
  seq?: number;
  ack?: number;
  window?: number;
  /** Bytes of payload. */
  data?: number;
  scale?: number;
}

const scaleOption = (shift: number) => Uint8Array.of(1, 3, 3, shift);

function packet(from: 'client' | 'server', { flags = ACK, seq, ack, window, data = 0, scale }: Says) {
  const fields = {
    flags,
    seq: seq ?? 0,
    ack: ack ?? 0,
    window: window ?? 8192,
    ...(scale === undefined ? {} : { options: scaleOption(scale) }),
  };
  const payload = new Uint8Array(data);
  return from === 'client'
    ? ethernet(
        {},
        ipv4({ src: '10.1.1.1', dst: '10.1.1.2' }, tcp({ ...fields, src: 40000, dst: 80 }, payload)),
      )
    : ethernet(
        {},
        ipv4({ src: '10.1.1.2', dst: '10.1.1.1' }, tcp({ ...fields, src: 80, dst: 40000 }, payload)),
      );
}

const client = (says: Says) => packet('client', says);
const server = (says: Says) => packet('server', says);

function verdicts(tracked: OneConnection, packets: readonly Uint8Array[]): string[] {
  return packets.map((bytes) => tracked.packet(bytes));
}

const handshake = (isn = 100, serverIsn = 500) => [
  client({ flags: SYN, seq: isn, scale: 7 }),
  server({ flags: SYN | ACK, seq: serverIsn, ack: isn + 1, scale: 7 }),
  client({ seq: isn + 1, ack: serverIsn + 1 }),
];
const HANDSHAKE = ['new', 'est rpl', 'est'];

/** From the handshake's end: a request, its answer, and both sides close. Nine packets with the handshake. */
const closing = [
  client({ flags: ACK | PSH, seq: 101, ack: 501, data: 10 }),
  server({ seq: 501, ack: 111 }),
  server({ flags: ACK | FIN, seq: 501, ack: 111 }),
  client({ seq: 111, ack: 502 }),
  client({ flags: ACK | FIN, seq: 111, ack: 502 }),
  server({ seq: 502, ack: 112 }),
];
const CLOSING = ['est', 'est rpl', 'est rpl', 'est', 'est', 'est rpl'];

test('a conversation from SYN to the last ACK, and the timeout after each packet', () => {
  const tracked = new OneConnection(rig);
  const timeouts: string[] = [];
  const seen = [...handshake(), ...closing].map((bytes) => {
    const verdict = tracked.packet(bytes);
    timeouts.push(tracked.timeout);
    return verdict;
  });
  assert.deepEqual(seen, [...HANDSHAKE, ...CLOSING]);
  assert.deepEqual(timeouts, [
    'TCP_SYN_SENT',
    'TCP_SYN_RECV',
    'TCP_ESTABLISHED',
    'TCP_ESTABLISHED',
    'TCP_ESTABLISHED',
    'TCP_FIN_WAIT',
    'TCP_FIN_WAIT',
    'TCP_TIME_WAIT',
    'TCP_CLOSE',
  ]);
});

test('a port that is used again after a full close begins a new connection', () => {
  const tracked = new OneConnection(rig);
  assert.deepEqual(verdicts(tracked, [...handshake(), ...closing]), [...HANDSHAKE, ...CLOSING]);
  assert.deepEqual([tracked.state(0), tracked.state(1)], [TCP_FIN_WAIT_2, TCP_FIN_WAIT_2]);
  assert.deepEqual(verdicts(tracked, handshake(9_000_000, 7_000_000)), HANDSHAKE);
  assert.deepEqual([tracked.state(0), tracked.state(1)], [TCP_ESTABLISHED, TCP_ESTABLISHED]);
});

test('a connection with scaled windows that is picked up in the middle', () => {
  const tracked = new OneConnection(rig);
  let mine = 4_294_960_000; // soon beyond 2³²
  let theirs = 1000;
  const packets = [client({ flags: ACK | PSH, seq: mine, ack: theirs, window: 229, data: 1448 })];
  mine += 1448;
  for (let i = 0; i < 6; i++) {
    packets.push(server({ seq: theirs, ack: mine % 2 ** 32, window: 501, data: 40_000 }));
    theirs += 40_000;
    packets.push(client({ flags: ACK | PSH, seq: mine % 2 ** 32, ack: theirs, window: 1400, data: 1448 }));
    mine += 1448;
  }
  packets.push(server({ seq: theirs, ack: mine % 2 ** 32, window: 501 }));
  assert.equal(packets.length, 14);
  const expected = packets.map((_, i) => (i === 0 ? 'new' : i % 2 === 1 ? 'est rpl' : 'est'));
  assert.deepEqual(verdicts(tracked, packets), expected);
  assert.equal(tracked.timeout, 'TCP_ESTABLISHED');
});

test('a segment out of the window is invalid, unless sequence numbers are not checked', () => {
  const tracked = new OneConnection(rig);
  const bad = server({ flags: ACK | PSH, seq: 900_000_000, ack: 111, data: 5 });
  const packets = [...handshake(), closing[0]!, bad, ...closing.slice(2)];
  const round = () => {
    const seen = verdicts(tracked, packets);
    return ['new', 'est', 'est rpl', 'inv'].map((verdict) => seen.filter((s) => s === verdict).length);
  };
  assert.deepEqual(round(), [1, 4, 3, 1]);
  tracked.checksSequence = false;
  assert.deepEqual(round(), [1, 4, 4, 0]);
  tracked.checksSequence = true;
  assert.deepEqual(round(), [1, 4, 3, 1]);
});

test('only a reset that is exactly in place ends the connection', () => {
  for (const [seq, verdict] of [
    [109, 'inv'],
    [110, 'est'],
    [111, 'est'],
    [112, 'est'],
    [113, 'inv'],
    [111 + 4000, 'inv'],
  ] as const) {
    const tracked = new OneConnection(rig);
    verdicts(tracked, [...handshake(), closing[0]!]);
    assert.equal(tracked.packet(client({ flags: RST, seq })), verdict, `reset at ${seq}`);
    const state = verdict === 'est' ? TCP_TIME_WAIT : TCP_ESTABLISHED;
    assert.deepEqual([tracked.state(0), tracked.state(1)], [state, state]);
    assert.equal(tracked.timeout, verdict === 'est' ? 'TCP_CLOSE' : 'TCP_ESTABLISHED');
  }
});

test('a connection that is refused can be tried again at once', () => {
  const tracked = new OneConnection(rig);
  const refusal = server({ flags: RST | ACK, seq: 0, ack: 101 });
  assert.deepEqual(verdicts(tracked, [handshake()[0]!, refusal]), ['new', 'est rpl']);
  assert.equal(tracked.timeout, 'TCP_CLOSE');
  assert.deepEqual(verdicts(tracked, handshake(3_000_000)), HANDSHAKE);
});

test('a SYN into a living connection is invalid, the challenge that answers it moves nothing', () => {
  const tracked = new OneConnection(rig);
  verdicts(tracked, [...handshake(), closing[0]!]);
  assert.equal(tracked.packet(client({ flags: SYN, seq: 2_000_000_000 })), 'inv');
  assert.equal(tracked.packet(server({ seq: 501, ack: 111 })), 'est rpl');
  assert.deepEqual([tracked.state(0), tracked.state(1)], [TCP_ESTABLISHED, TCP_ESTABLISHED]);
  assert.equal(tracked.timeout, 'TCP_ESTABLISHED');
  assert.equal(tracked.packet(client({ flags: RST, seq: 111 })), 'est', 'who lost the connection says so');
  assert.equal(tracked.timeout, 'TCP_CLOSE');
});

test('a SYN that is sent again is new, and does not disturb the answer to the first', () => {
  const tracked = new OneConnection(rig);
  const [syn, ...rest] = handshake();
  assert.deepEqual(verdicts(tracked, [syn!, syn!, syn!, ...rest]), ['new', 'new', ...HANDSHAKE]);
});

test('ends that begin at once meet', () => {
  const tracked = new OneConnection(rig);
  const packets = [
    client({ flags: SYN, seq: 100, scale: 7 }),
    server({ flags: SYN, seq: 500, scale: 7 }),
    client({ flags: SYN | ACK, seq: 100, ack: 501, scale: 7 }),
    server({ flags: SYN | ACK, seq: 500, ack: 101, scale: 7 }),
    client({ seq: 101, ack: 501 }),
    server({ seq: 501, ack: 101, data: 1460 }),
  ];
  assert.deepEqual(verdicts(tracked, packets), ['new', 'new rpl', 'est', 'est rpl', 'est', 'est rpl']);
  assert.deepEqual([tracked.state(0), tracked.state(1)], [TCP_ESTABLISHED, TCP_ESTABLISHED]);
});

test('what is tolerated does not prolong the life of a connection', () => {
  const tracked = new OneConnection(rig);
  const stream = (at: number) => client({ flags: ACK | PSH, seq: 1000 + 1448 * at, ack: 1, data: 1448 });
  assert.deepEqual(verdicts(tracked, [stream(0), stream(1)]), ['new', 'est']);
  assert.equal(tracked.state(0), TCP_SYN_SENT);
  tracked.now = 29;
  assert.equal(tracked.packet(stream(2)), 'est');
  tracked.now = 31;
  assert.equal(tracked.packet(stream(3)), 'new', 'nobody has answered within 30 seconds');
});

test('windows are scaled only when both ends announce it', () => {
  const data = (seq: number, bytes: number) => server({ flags: ACK | PSH, seq, ack: 101, data: bytes });
  for (const [scale, verdict] of [
    [7, 'est rpl'],
    [undefined, 'inv'],
  ] as const) {
    const tracked = new OneConnection(rig);
    const answer = { flags: SYN | ACK, seq: 500, ack: 101, window: 1024, ...(scale ? { scale } : {}) };
    const packets = [
      client({ flags: SYN, seq: 100, window: 1024, scale: 7 }),
      server(answer),
      client({ seq: 101, ack: 501, window: 1024 }),
      data(501, 1000),
      data(1501, 60_000),
    ];
    assert.deepEqual(verdicts(tracked, packets), [...HANDSHAKE, 'est rpl', verdict]);
  }
});

test('flags that no stack sends begin nothing and belong to nothing', () => {
  const bad = [0, SYN | RST, SYN | FIN, FIN, PSH, URG, SYN | PSH, RST | FIN, SYN | ACK | FIN];
  for (const flags of bad) {
    const tracked = new OneConnection(rig);
    assert.equal(tracked.packet(client({ flags, seq: 100 })), 'inv', `begins with ${flags}`);
    verdicts(tracked, handshake());
    assert.equal(tracked.packet(client({ flags, seq: 101, ack: 501 })), 'inv', `goes on with ${flags}`);
  }
  const answer = client({ flags: SYN | ACK, seq: 100 });
  assert.equal(new OneConnection(rig).packet(answer), 'inv', 'begins with an answer');
});

test('what does not fit is counted, and what is let pass all the same', () => {
  const tracked = new OneConnection(rig);
  verdicts(tracked, handshake());
  const counted = (...packets: Uint8Array[]) => {
    const before = rig.observer.totals();
    verdicts(tracked, packets);
    const after = rig.observer.totals();
    return {
      flags: after.ctTcpFlags - before.ctTcpFlags,
      sequence: after.ctTcpSequence - before.ctTcpSequence,
      unchecked: after.ctTcpUnchecked - before.ctTcpUnchecked,
    };
  };
  const astray = client({ seq: 900_000_000, ack: 501, data: 1 });
  assert.deepEqual(counted(client({ flags: 0 }), astray, astray), { flags: 1, sequence: 2, unchecked: 0 });
  tracked.checksSequence = false;
  assert.deepEqual(counted(astray, client({ flags: 0 })), { flags: 1, sequence: 0, unchecked: 1 });
  tracked.checksSequence = true;
});
