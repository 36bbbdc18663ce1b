import { Key } from '../datapath.ts';
import { KEY_WORDS, Match, wordsOf } from './match.ts';
import { CONNECTION_WORDS } from './packet.ts';
import { printGroups, printTags } from './print-key.ts';
import { printProgram } from './print-program.ts';
import { type PortNames, printPort } from './values.ts';

/**
 * Prints a datapath flow on one line.
 * @param key KEY_SIZE bytes, of any packet in the flow
 * @param mask as many
 * @param program as in `opcode.ts`
 * @param ports their names; a port that is not among them is printed by number
 */
export function formatMegaflow(
  key: Uint8Array,
  mask: Uint8Array,
  program: Uint32Array,
  ports: PortNames,
): string {
  return `${formatMatch(key, mask, ports)}, actions:${formatActions(key, program, ports)}`;
}

/** Which packets are in it. */
export function formatMatch(key: Uint8Array, mask: Uint8Array, ports: PortNames): string {
  const [value, masks] = [wordsOf(key), wordsOf(mask)];
  const match = new Match(
    value.map((word, i) => word & masks[i]!),
    masks,
  );
  return printFields(match, ports);
}

/** What it does to them. */
export function formatActions(key: Uint8Array, program: Uint32Array, ports: PortNames): string {
  const packet = new Match(wordsOf(key), new Uint32Array(KEY_WORDS).fill(0xffff_ffff));
  return printProgram(program, packet, ports);
}

/** Prints what a packet's key says of it; of its connection nothing when it was not tracked. */
export function formatPacket(key: Uint8Array, ports: PortNames): string {
  const masks = new Uint32Array(KEY_WORDS).fill(0xffff_ffff);
  if (key[Key.ctState] === 0) for (const word of CONNECTION_WORDS) masks[word] = 0;
  return printFields(new Match(wordsOf(key), masks), ports);
}

function printFields(match: Match, ports: PortNames): string {
  const [first] = match.value as unknown as [number];
  const recirculation = first >>> 16;
  return [
    ...(recirculation === 0 ? [] : [`recirc_id(0x${recirculation.toString(16)})`]),
    `in_port(${printPort(first & 0xffff, ports)})`,
    ...printTags(match),
    ...printGroups(match, match),
  ].join(',');
}
