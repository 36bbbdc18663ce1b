/** `heddle conntrack`: connection tracking of a capture, apart from any switch, and how strict that of a switch is. */
import { Argument, Command } from 'commander';
import { askSwitch } from '../control/ask.ts';
import { BATCH_MOST, trackCapture } from '../control/track-capture.ts';
import { print } from './stdout.ts';
import { findTarget } from './target.ts';
import { statCapture, type Target, whole, withTarget } from './usage.ts';

/** The names of the bits of ct_state, the lowest first. */
const STATES = ['new', 'est', 'rel', 'rpl', 'inv', 'trk', 'snat', 'dnat'];

/** Packets whose lines are printed together. */
const LINES = 1024;

export function conntrackCommand(): Command {
  const conntrack = new Command('conntrack').description(
    'Tracks the connections of a capture, or says how strictly a running switch tracks them.',
  );
  conntrack
    .command('pcap')
    .description(
      'Prints the ct_state of each packet of a capture, tracked in zone 0 and committed, as ' +
        '"ovstest test-conntrack pcap" of Open vSwitch does. The clock stands still.',
    )
    .argument('<file>', 'pcap or pcapng')
    .argument('[batch]', 'packets at a time', whole(1, BATCH_MOST), 1)
    .action(pcap);
  withTarget(conntrack.command('sequence-checking'))
    .description(
      'Has a running switch check the sequence numbers of TCP, or accept any; without an argument, prints which.',
    )
    .addArgument(new Argument('[state]', 'what it is to be').choices(['on', 'off']))
    .action(sequenceChecking);
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

async function sequenceChecking(state: 'on' | 'off' | undefined, options: Target): Promise<void> {
  const path = await findTarget(options);
  const on = state === undefined ? undefined : state === 'on';
  await print(...(await askSwitch(path, { command: 'sequenceChecking', on })));
}

function describeState(state: number): string {
  return STATES.filter((_, bit) => state & (1 << bit)).join('|');
}
