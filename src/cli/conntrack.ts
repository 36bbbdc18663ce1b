/** `heddle conntrack`: connection tracking, apart from any switch. */
import { Command } from 'commander';
import { BATCH_MOST, trackCapture } from '../control/track-capture.ts';
import { print } from './stdout.ts';
import { statCapture, whole } from './usage.ts';

/** The names of the bits of ct_state, the lowest first. */
const STATES = ['new', 'est', 'rel', 'rpl', 'inv', 'trk', 'snat', 'dnat'];

/** Packets whose lines are printed together. */
const LINES = 1024;

export function conntrackCommand(): Command {
  const conntrack = new Command('conntrack').description('Tracks connections, apart from any switch.');
  conntrack
    .command('pcap')
    .description(
      'Prints the ct_state of each packet of a capture, tracked in zone 0 and committed, as ' +
        '"ovstest test-conntrack pcap" of Open vSwitch does. The clock stands still.',
    )
    .argument('<file>', 'pcap or pcapng')
    .argument('[batch]', 'packets at a time', whole(1, BATCH_MOST), 1)
    .action(pcap);
  return conntrack;
}

async function pcap(file: string, batch: number): Promise<void> {
  statCapture(file);
  let number = 0;
  let lines: string[] = [];
  try {
    for (const state of trackCapture(file, batch)) {
      lines.push(`${++number}: ${describeState(state)}`);
      if (lines.length < LINES) continue;
      await print(...lines);
      lines = [];
    }
  } finally {
    await print(...lines);
  }
}

function describeState(state: number): string {
  return STATES.filter((_, bit) => state & (1 << bit)).join('|');
}
