/** TFTP: a server answers a request from another port. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { type Ends, flows, request, Wire } from './control-connection.ts';

const ENDS: Ends = { src: '10.0.0.2', dst: '10.0.0.3', sport: 40_000, dport: 69 };
const ENDS6: Ends = { src: 'fd00:0:0:0:0:0:0:2', dst: 'fd00:0:0:0:0:0:0:3', sport: 40_000, dport: 69 };
const BLOCK = Uint8Array.of(0, 3, 0, 1, 65);

const answer = ({ src, dst, sport }: Ends): Ends => ({ src: dst, dst: src, sport: 50_000, dport: sport });

test('the answer to a request, from whatever port, is related to it', () => {
  for (const ends of [ENDS, ENDS6]) {
    for (const operation of [1, 2]) {
      const wire = new Wire(flows('ct(commit,zone=5,alg=tftp)', 'ct(commit,zone=5)', 'udp'));
      assert.equal(wire.udp(2, answer(ends), BLOCK), undefined, 'not before');
      assert.ok(wire.udp(1, ends, request(operation, 'file')));
      assert.equal(wire.udp(2, { ...answer(ends), dport: 40_001 }, BLOCK), undefined, 'another port');
      assert.ok(wire.udp(2, answer(ends), BLOCK));
      const { src, dst, sport, dport } = answer(ends);
      assert.ok(wire.udp(1, { src: dst, dst: src, sport: dport, dport: sport }, Uint8Array.of(0, 4, 0, 1)));
      assert.deepEqual(
        wire
          .connections()
          .map(({ helper }) => helper)
          .sort(),
        ['tftp', undefined],
      );
    }
  }
});

test('what is no request announces nothing', () => {
  for (const packet of [BLOCK, Uint8Array.of(), Uint8Array.of(0)]) {
    const wire = new Wire(flows('ct(commit,zone=5,alg=tftp)', 'ct(commit,zone=5)', 'udp'));
    assert.ok(wire.udp(1, ENDS, packet));
    assert.equal(wire.udp(2, answer(ENDS), BLOCK), undefined);
  }
});

test('a client that is translated gets its answer', () => {
  const wire = new Wire(flows('ct(commit,zone=5,alg=tftp,nat(src=192.0.2.100:7000))', undefined, 'udp'));
  const asked = wire.udp(1, ENDS, request(1, 'file'))!;
  assert.deepEqual([asked.src, asked.sport], ['192.0.2.100', 7000]);
  const block = wire.udp(2, answer(asked), BLOCK)!;
  assert.deepEqual([block.dst, block.dport], ['10.0.0.2', 40_000]);
  const acknowledged = wire.udp(1, { ...ENDS, dport: 50_000 }, Uint8Array.of(0, 4, 0, 1))!;
  assert.deepEqual([acknowledged.src, acknowledged.sport], ['192.0.2.100', 7000]);
});
