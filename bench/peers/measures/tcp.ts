/** Bulk TCP: what iperf3 delivers to the receiver over one or more streams. */
import { createInterface } from 'node:readline';
import { end } from '../../../src/lab/command.ts';
import { ADDRESS } from '../topology.ts';
import type { Measure } from './measure.ts';

export function tcp(name: string, streams: number): Measure {
  return {
    name,
    tools: ['iperf3'],
    async take({ topology, seconds }) {
      const server = topology.spawn('receiver', ['iperf3', '--server', '--one-off', '--forceflush'], {
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      try {
        for await (const line of createInterface({ input: server.stdout! }))
          if (line.includes('listening')) break;
        const argv = ['iperf3', '--client', ADDRESS.receiver, '--parallel', String(streams)];
        const timeoutMs = (seconds + 10) * 1000;
        const report = JSON.parse(
          await topology.run('sender', [...argv, '--time', String(seconds), '--json'], { timeoutMs }),
        );
        const value = report.end.sum_received.bits_per_second / 1e9;
        return [
          {
            name,
            unit: 'Gbit/s',
            value,
            parameters: { streams, retransmits: report.end.sum_sent.retransmits },
          },
        ];
      } finally {
        await end(server);
      }
    },
  };
}
