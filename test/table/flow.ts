/** One flow, where a text has just one. */
import { type Flow, parseFlows } from '../../src/table/parse.ts';
import type { PortNumbers } from '../../src/table/values.ts';

export function parseFlow(text: string, ports?: PortNumbers): Flow {
  return parseFlows(text, ports)[0]!;
}
