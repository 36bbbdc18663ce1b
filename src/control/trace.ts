/** Asks whoever has the tables for a trace. */
import type { Trace, TraceQuestion } from '../model.ts';
import type { SlowReply, SlowRequest } from '../upcall/request.ts';
import type { TraceReply } from '../upcall/trace.ts';
import { connectionRows } from './connections.ts';

/** Has a handler trace a packet through the switch `name`. */
export async function askTrace(
  name: string,
  question: TraceQuestion,
  ask: (request: SlowRequest) => Promise<SlowReply> | SlowReply,
): Promise<Trace> {
  const { records, nowMs, ...found } = (await ask({ command: 'trace', question })) as TraceReply;
  return { name, ...found, connections: connectionRows(records, nowMs) };
}
