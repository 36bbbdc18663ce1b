/** What the commands about connections have in common: filters, formats, and going through the pages. */
import { type Command, Option } from 'commander';
import { askSwitch } from '../control/ask.ts';
import type { ConnectionRow } from '../model.ts';
import { CONNECTION_FORMATS, type ConnectionFormat, connectionLine } from '../view/connection.ts';

export interface LineOptions {
  format?: ConnectionFormat;
  stats?: boolean;
  json?: boolean;
}

export const FILTER_HELP = `
Filters of connections:
  zone=N, mark=VALUE[/MASK], labels=VALUE[/MASK], state=ESTABLISHED
  ct_nw_src=ADDRESS[/PREFIX], ct_nw_dst=, ct_ipv6_src=, ct_ipv6_dst=
  ct_nw_proto=N or tcp, udp, sctp, icmp, icmpv6; ct_tp_src=N, ct_tp_dst=N; icmp_id=, icmp_type=, icmp_code=
Addresses, protocol and ports of the original direction are one word, joined by commas; a second such word is
about the reply. To say something of the reply alone, give '' first.
`;

/** Adds the options of LineOptions. */
export function withLineOptions(command: Command): Command {
  return command
    .addOption(new Option('--format <format>', 'of lines for connections').choices(CONNECTION_FORMATS))
    .option('--stats', 'with packets, bytes and timeouts of connections')
    .option('--json', 'print one JSON object a line')
    .addHelpText('after', FILTER_HELP);
}

/** What comes of asking from the beginning on, page by page. */
export async function* pagesOf<Page extends { next?: number }>(
  ask: (from: number) => Promise<Page>,
): AsyncGenerator<Page> {
  for (let from: number | undefined = 0; from !== undefined; ) {
    const page: Page = await ask(from);
    yield page;
    from = page.next;
  }
}

/** The lines of the connections that pass a filter, some at a time. */
export async function* connectionLines(
  path: string,
  filter: readonly string[],
  { json, stats, format = 'ovs' }: LineOptions,
): AsyncGenerator<string[]> {
  const style = { format, stats: stats ?? false };
  const line = (row: ConnectionRow) => (json ? JSON.stringify(row) : connectionLine(row, style));
  const pages = pagesOf((from) => askSwitch(path, { command: 'connections', filter, from }));
  for await (const { rows } of pages) yield rows.map(line);
}
