/** The Internet checksum against RFC 1071's plain definition, and what it is there to find. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { fold, sumBytes } from '../../src/port/traffic/wire.ts';
import { Lan, makeHosts, makePair } from './lan.ts';

/** 16 bits at a time, each carry brought round at once. */
function plainSum(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) {
    sum += bytes[at] * 256 + (at + 1 < bytes.length ? bytes[at + 1] : 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

test('the sum is that of the plain definition, for any bytes at any place', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(3), (bytes, at) => {
      const memory = new Uint8Array(at + bytes.length);
      memory.set(bytes, at);
      assert.equal(fold(sumBytes(viewOf(memory), at, bytes.length, 0)), plainSum(bytes));
    }),
  );
});

test('the sum of the largest packet is exact', () => {
  const bytes = new Uint8Array(65_535).fill(0xff);
  assert.equal(fold(sumBytes(viewOf(bytes), 0, bytes.length, 0)), plainSum(bytes));
});

test('bytes that include their checksum add up to all ones', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 2, maxLength: 1500 }), (bytes) => {
      const view = viewOf(bytes);
      view.setUint16(0, 0);
      view.setUint16(0, ~fold(sumBytes(view, 0, bytes.length, 0)));
      assert.equal(fold(sumBytes(view, 0, bytes.length, 0)), 0xffff);
    }),
  );
});

test('no IPv4 packet with a flipped bit has an effect', () => {
  const [client, server] = makePair({ mix: { tcp: 1, udp: 0, ping: 1 } });
  const lan = new Lan([client, server]);
  const packets: Uint8Array[] = [];
  lan.onFrame = (frame) => frame[12] === 0x08 && frame[13] === 0x00 && packets.push(frame);
  lan.run(200);
  fc.assert(
    fc.property(fc.nat(packets.length - 1), fc.nat(), (index, place) => {
      const frame = packets[index].slice();
      const bit = 14 * 8 + (place % ((frame.length - 14) * 8));
      frame[bit >> 3] ^= 1 << (bit & 7);
      const hosts = makeHosts({ portNumber: frame[3] });
      hosts.receive(frame, 0, frame.length, 0);
      const { checksumsBad, framesMalformed } = hosts.statistics;
      assert.equal(checksumsBad + framesMalformed, 1);
      assert.equal(hosts.dueMs(), Infinity);
    }),
  );
});
