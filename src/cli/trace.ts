/** `heddle trace`: why a packet goes where it goes. */
import { Command } from 'commander';
import { askSwitch } from '../control/ask.ts';
import { loadConfig } from '../control/config.ts';
import { frameOf } from '../control/frame-of.ts';
import { traceConfig } from '../control/trace-config.ts';
import type { TracePacket } from '../model.ts';
import { traceText } from '../view/trace.ts';
import { print } from './stdout.ts';
import { findTarget } from './target.ts';
import { statCapture, type Target, UsageError, wholeNumber, withTarget } from './usage.ts';

interface TraceOptions extends Target {
  port?: string;
  capture?: string;
  frame?: number;
  whyNot?: string;
  json?: boolean;
}

const HELP = `
PACKET is one of
  a flow          in_port=web,tcp,nw_src=10.0.0.1,nw_dst=10.0.0.2,tp_dst=80
                  what it does not say is zero, but nw_ttl, which is 64; icmp_id=N is what a ping goes by
  a frame in hex  with --port; blanks and colons between the digits do no harm
Without CONFIG it is traced in a switch that runs, with its connections and what it has learned; nothing is
changed. With CONFIG it is traced in the tables that this file describes.
`;

export function traceCommand(): Command {
  const command = new Command('trace')
    .usage('[options] [CONFIG] PACKET')
    .description(
      'Follows a packet through the tables, and tells why it goes where it goes: each table with the flow that ' +
        'applies and those that nearly do, its connections, the megaflow, and where it is sent.',
    )
    .argument('[words...]', 'CONFIG, if it is not about a running switch, and PACKET')
    .option('--port <name>', 'where a frame comes in')
    .option('--capture <file>', 'in place of PACKET a frame of a pcap or pcapng file')
    .option('--frame <n>', 'which, from 1 (default: 1)', wholeNumber)
    .option('--why-not <flow>', 'say why this flow (table, match, perhaps priority) did not apply')
    .option('--json', 'print one JSON object')
    .addHelpText('after', HELP);
  return withTarget(command).action(trace);
}

async function trace(words: readonly string[], options: TraceOptions): Promise<void> {
  const { config, packet } = readArguments(words, options);
  const question = { packet, whyNot: options.whyNot };
  const found =
    config === undefined
      ? await askSwitch(await findTarget(options), { command: 'trace', question })
      : await traceConfig(loadConfig(config), question);
  await print(...(options.json ? [JSON.stringify(found)] : traceText(found)));
}

function readArguments(
  words: readonly string[],
  options: TraceOptions,
): { config: string | undefined; packet: TracePacket } {
  const { capture, name, socket } = options;
  const most = capture === undefined ? 2 : 1;
  if (words.length > most) {
    throw new UsageError(`found "${words[most]}", expected no more behind ${capture ? 'CONFIG' : 'PACKET'}`);
  }
  if (words.length < most - 1) throw new UsageError('found no PACKET, expected a flow or a frame in hex');
  const config = words.length === most ? words[0] : undefined;
  const running = name !== undefined ? '--name' : socket !== undefined ? '--socket' : undefined;
  if (config !== undefined && running) {
    throw new UsageError(`found CONFIG ${config} and ${running}, expected one of them`);
  }
  const packet =
    capture === undefined ? parsePacketText(words.at(-1)!, options) : capturedFrame(capture, options);
  return { config, packet };
}

/** A word of hexadecimal digits alone is a frame: no flow is such, for one says where it comes in. */
function parsePacketText(text: string, { port, frame }: TraceOptions): TracePacket {
  if (frame !== undefined) throw new UsageError('found --frame without --capture');
  const digits = text.replace(/^0x|[\s:]/gi, '');
  if (!/^[0-9a-f]+$/i.test(digits)) {
    if (port !== undefined) throw new UsageError('found --port with a flow, expected in_port=PORT in it');
    return { flow: text };
  }
  if (digits.length % 2 !== 0) {
    throw new UsageError(
      `found ${digits.length} hexadecimal digits, expected two for each byte of the frame`,
    );
  }
  return { frame: digits, port: portOf(port) };
}

function capturedFrame(capture: string, { port, frame = 1 }: TraceOptions): TracePacket {
  statCapture(capture);
  const name = portOf(port);
  return { frame: Buffer.from(frameOf(capture, frame)).toString('hex'), port: name };
}

function portOf(port: string | undefined): string {
  if (port === undefined) throw new UsageError('found a frame without --port, expected where it comes in');
  return port;
}
