/** No frame, however strange, makes a host throw, write past its frame, or forget to count. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { MAX_FRAME_BYTES } from '../../src/port/traffic/hosts.ts';
import { SYN } from '../../src/port/traffic/segment.ts';
import { Lan, makeHosts, makePair } from './lan.ts';
import { ask, emitted, icmp, packet, readPacket, segment } from './outsider.ts';

const ETHERTYPE_ARP = 0x0806;

/** Frames of every kind that two ports exchange. */
function conversation(): Uint8Array[] {
  const frames: Uint8Array[] = [];
  const lan = new Lan(makePair({ mix: { tcp: 1, udp: 1, ping: 1 }, ipv6: 0.5 }));
  lan.onFrame = (frame) => frames.push(frame);
  lan.run(300);
  return frames;
}

test('frames with random changes, cut or lengthened', () => {
  const frames = conversation();
  const [client, server] = makePair({ ipv6: 0.5 });
  let nowMs = 0;
  fc.assert(
    fc.property(
      fc.nat(frames.length - 1),
      fc.array(fc.tuple(fc.nat(100), fc.nat(255)), { maxLength: 4 }),
      fc.option(fc.nat(1600)),
      (index, changes, cut) => {
        const frame = new Uint8Array(1600);
        frame.set(frames[index]);
        for (const [at, byte] of changes) frame[at] = byte;
        const length = cut ?? frames[index].length;
        nowMs++;
        for (const hosts of [client, server]) {
          hosts.receive(frame, 0, length, nowMs);
          for (const answer of emitted(hosts, nowMs)) {
            assert.ok(answer.length <= MAX_FRAME_BYTES);
            if ((answer[12] << 8) + answer[13] !== ETHERTYPE_ARP) readPacket(answer);
          }
        }
      },
    ),
    { numRuns: 3000 },
  );
});

test('random bytes behind a right Ethernet header', () => {
  const hosts = makeHosts();
  fc.assert(
    fc.property(
      fc.constantFrom([0x08, 0x00], [0x08, 0x06], [0x86, 0xdd], [0x81, 0x00], [0x12, 0x34]),
      fc.uint8Array({ maxLength: 100 }),
      (type, bytes) => {
        const frame = Uint8Array.of(2, 0, 0, 1, 0, 0, 2, 0, 0, 0, 0, 0xaa, ...type, ...bytes);
        ask(hosts, frame, 0);
      },
    ),
    { numRuns: 1000 },
  );
  const { framesReceived, framesIgnored, framesMalformed, checksumsBad } = hosts.statistics;
  assert.equal(framesReceived, framesIgnored + framesMalformed + checksumsBad);
});

test('random transport headers with right checksums', () => {
  const hosts = makeHosts();
  let nowMs = 0;
  fc.assert(
    fc.property(
      fc.constantFrom(4 as const, 6 as const),
      fc.constantFrom([6, 16], [17, 6], [1, 2], [58, 2], [59, 2]),
      fc.uint8Array({ minLength: 18, maxLength: 100 }),
      fc.constantFrom(undefined, 53, 54, 80),
      (version, [protocol, field], payload, port) => {
        if (port !== undefined) payload.set([0, port], 2);
        for (const answer of ask(hosts, packet(version, protocol, payload, field), nowMs++))
          readPacket(answer);
      },
    ),
    { numRuns: 3000 },
  );
});

test('random ICMPv6 types with right checksums', () => {
  const hosts = makeHosts();
  fc.assert(
    fc.property(fc.integer({ min: 128, max: 140 }), fc.uint8Array({ maxLength: 60 }), (type, data) => {
      for (const answer of ask(hosts, icmp(6, type, data), 0)) readPacket(answer);
    }),
    { numRuns: 1000 },
  );
});

test('TCP options that run over the header are malformed', () => {
  const hosts = makeHosts();
  for (const [kind, length] of [
    [2, 5],
    [2, 0],
    [8, 1],
    [255, 255],
  ]) {
    const frame = segment({ flags: SYN, maxSegment: 1460 });
    frame.set([kind, length], 54);
    const payload = frame.slice(34);
    assert.deepEqual(ask(hosts, packet(4, 6, payload, 16), 0), []);
  }
  assert.equal(hosts.statistics.framesMalformed, 4);
});

test('a packet larger than any real one is taken as it is', () => {
  const hosts = makeHosts();
  const [synAck] = ask(hosts, segment({ flags: SYN, sequence: 0 }), 0);
  const acknowledgment = new DataView(synAck.buffer).getInt32(38) + 1;
  const request = segment({ flags: 0x18, sequence: 1, acknowledgment, data: 'x'.repeat(65_000) });
  const answers = ask(hosts, request, 0);
  assert.equal(new DataView(answers[0].buffer).getInt32(42), 65_001);
});
