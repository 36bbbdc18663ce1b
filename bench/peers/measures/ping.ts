/** Round trips of small packets, one at a time, with pauses in which the system may fall asleep. */
import { percentile } from '../percentile.ts';
import { ADDRESS } from '../topology.ts';
import type { Measure } from './measure.ts';

const INTERVAL_SECONDS = 0.01;

export const ping: Measure = {
  name: 'ping',
  tools: ['ping'],
  async take({ topology, seconds }) {
    const count = Math.round(seconds / INTERVAL_SECONDS);
    const argv = [
      'ping',
      '-n',
      '-i',
      String(INTERVAL_SECONDS),
      '-c',
      String(count),
      '-W',
      '1',
      ADDRESS.receiver,
    ];
    const output = await topology.run('sender', argv, { timeoutMs: (seconds + 10) * 1000 });
    const roundTripsUs = [...output.matchAll(/time=([\d.]+) ms/g)].map(([, ms]) => Number(ms) * 1000);
    const parameters = { sent: count, answered: roundTripsUs.length };
    return [
      { name: 'pingP50', unit: 'µs', value: percentile(roundTripsUs, 0.5), parameters },
      { name: 'pingP99', unit: 'µs', value: percentile(roundTripsUs, 0.99), parameters },
    ];
  },
};
