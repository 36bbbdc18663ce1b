import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { bitRate, count, packetRate, share, size, time } from '../../src/view/units.ts';

test('rates have the largest unit of which there is at least one', () => {
  assert.equal(packetRate(0), '0 pps');
  assert.equal(packetRate(0.5), '0.5 pps');
  assert.equal(packetRate(999), '999 pps');
  assert.equal(packetRate(999.6), '1.0 kpps');
  assert.equal(packetRate(12_345), '12.3 kpps');
  assert.equal(packetRate(999_960), '1.0 Mpps');
  assert.equal(packetRate(27_000_000), '27 Mpps');
  assert.equal(bitRate(150_000_000), '1.2 Gbit/s');
  assert.equal(bitRate(1), '8 bit/s');
});

test('sizes count in 1024', () => {
  assert.equal(size(1023), '1023 B');
  assert.equal(size(1024), '1 KiB');
  assert.equal(size(1_572_864), '1.5 MiB');
});

test('a rate is printed with at most four digits, and is within a twentieth of the truth', () => {
  const factors: Record<string, number> = { pps: 1, kpps: 1e3, Mpps: 1e6, Gpps: 1e9 };
  fc.assert(
    fc.property(fc.double({ min: 1, max: 9e11, noNaN: true }), (rate) => {
      const [digits, unit] = packetRate(rate).split(' ');
      assert.match(digits!, /^(\d{1,2}\.\d|\d{1,3})$/);
      assert.ok(Math.abs(Number(digits) * factors[unit!]! - rate) <= rate / 20, packetRate(rate));
    }),
  );
});

test('counts are grouped', () => {
  assert.equal(count(1_234_567), '1,234,567');
});

test('a share of nothing is no number', () => {
  assert.equal(share(0, 0), '-');
  assert.equal(share(982, 1000), '98.2 %');
});

test('times have two units at most', () => {
  assert.equal(time(850), '850 ms');
  assert.equal(time(12_345), '12.3 s');
  assert.equal(time(59_980), '1 min 0 s');
  assert.equal(time(185_000), '3 min 5 s');
  assert.equal(time(7_830_000), '2 h 10 min');
});
