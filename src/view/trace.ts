/**
 * A trace as text, in the manner of `ovs-appctl ofproto/trace`: what it has, in its words, and beside that which flows
 * nearly took the packet, its connections, and whether a live megaflow takes it.
 */
import type {
  ConnectionRow,
  Trace,
  TraceConnection,
  TraceDifference,
  TraceFlow,
  TraceLookUp,
  TraceMiss,
  TraceRound,
  TraceSent,
  TraceStep,
  TraceTable,
  TraceVerdict,
  TraceWhyNot,
} from '../model.ts';
import { plural } from '../plural.ts';
import { connectionLine } from './connection.ts';

const RULE = '='.repeat(79);
const INDENT = '    ';

const OUTCOMES: Readonly<Record<TraceConnection['outcome'], string>> = {
  invalid: 'it belongs to no connection and begins none',
  new: 'there is no connection, and none is made',
  made: 'there is no connection; one would be made',
  found: 'its connection',
  held: 'a fragment, which waits for the rest of its datagram',
};

/** What drop reasons mean that tables come to; those of malformed frames say it themselves. */
const REASONS: Readonly<Record<string, string>> = {
  flow: 'that is what the flow says',
  table_miss: 'no flow of the table matches',
  output_to_ingress: 'it would go where it came from',
  reserved_multicast: 'frames to that address are for the bridge itself',
  no_such_port: 'there is no such port',
  no_such_group: 'there is no such group',
  no_such_meter: 'there is no such meter',
  no_live_bucket: 'no bucket of the group is alive',
  ttl_expired: 'its time to live is up',
  resubmit_limit: 'the tables go round in a circle, or want more than one program can hold',
  recirculation_lost: 'what was to be done next is forgotten',
  recirculation_limit: 'it has gone round too often',
  state_full: 'there is no room to note what is to be done next',
};

/** Lines of text. */
export function traceText(trace: Trace): string[] {
  const { rounds, verdict, whyNot } = trace;
  return [
    ...rounds.flatMap((round, i) => [
      ...(i > 0 ? ['', ...resumption(round)] : []),
      ...roundText(round, trace),
    ]),
    ...(rounds.length > 0 ? [''] : []),
    ...verdictText(verdict),
    ...(whyNot ? ['', ...whyNotText(whyNot)] : []),
  ];
}

const resumption = ({ recirculation }: TraceRound): string[] => [
  RULE,
  `recirc(0x${recirculation.toString(16)})`,
  RULE,
  '',
];

function roundText(round: TraceRound, { name, connections }: Trace): string[] {
  const { recirculation, flow, finalFlow, steps, megaflow, liveMegaflow } = round;
  const title = `bridge("${name}")`;
  const id = recirculation === 0 ? '' : `recirc_id=0x${recirculation.toString(16)},`;
  return [
    `Flow: ${id}${flow}`,
    '',
    title,
    '-'.repeat(title.length),
    ...(recirculation === 0 ? [] : [`${INDENT}thaw`]),
    ...steps.flatMap((step) => stepText(step, step.kind === 'table' ? '' : INDENT, connections)),
    '',
    `Final flow: ${finalFlow === flow ? 'unchanged' : finalFlow}`,
    `Megaflow: ${recirculation === 0 ? 'recirc_id(0),' : ''}${megaflow.match}`,
    `Datapath actions: ${megaflow.actions}`,
    liveMegaflow === null
      ? 'Now: no megaflow takes it, it goes to the handler'
      : `Now: megaflow ${liveMegaflow} takes it`,
  ];
}

function stepText(step: TraceStep, indent: string, connections: readonly ConnectionRow[]): string[] {
  const inner = (steps: readonly TraceStep[], by = indent + INDENT) =>
    steps.flatMap((one) => stepText(one, by, connections));
  switch (step.kind) {
    case 'table':
      return [...tableHead(step, indent), ...inner(step.steps)];
    case 'action':
      // The table that a packet goes on to is not inside the one that it comes from.
      return [`${indent}${step.text}`, ...inner(step.steps, isJump(step.text) ? outer(indent) : indent)];
    case 'bucket':
      return [`${indent} -> bucket ${step.bucket}${choice(step.chosen)}`, ...inner(step.steps)];
    case 'actionSet':
      return [`${indent}--- action set ---`, ...inner(step.steps)];
    case 'connection':
      return connectionText(step, indent, connections);
    case 'note':
      return [`${indent} -> ${step.text}`];
  }
}

const isJump = (action: string): boolean => action.startsWith('goto_table');
const outer = (indent: string): string => indent.slice(INDENT.length);
const choice = (chosen: boolean | undefined): string =>
  chosen === undefined ? '' : chosen ? ', which the packet takes' : ', not for this packet';

function tableHead({ table, flow, missed }: TraceTable, indent: string): string[] {
  const number = `${indent}${String(table).padStart(2)}. `;
  return [
    `${number}${flow ? flowText(flow) : 'No match.'}`,
    ...missed.map((miss) => `${indent}${INDENT} not ${missText(miss)}`),
  ];
}

function flowText({ match, priority, cookie }: TraceFlow): string {
  return [match !== '' && match, `priority ${priority}`, cookie !== '0x0' && `cookie ${cookie}`]
    .filter(Boolean)
    .join(', ');
}

const missText = ({ flow, differences }: TraceMiss): string =>
  `${flowText(flow)}: ${differencesText(differences)}`;

const differencesText = (differences: readonly TraceDifference[]): string =>
  differences.map(({ field, packet, flow }) => `${field} is ${packet}, not ${flow}`).join('; ');

function connectionText(
  { zone, outcome, state, connection }: TraceConnection,
  indent: string,
  connections: readonly ConnectionRow[],
): string[] {
  const where = zone === 0 ? '' : `zone ${zone}: `;
  const row = connection === undefined ? undefined : connections[connection];
  return [
    `${indent} -> ${where}${OUTCOMES[outcome]}${row ? `: ${connectionLine(row, { format: 'ovs' })}` : ''}`,
    ...(state === '' ? [] : [`${indent} -> ct_state=${state}`]),
  ];
}

function verdictText({ sent, controllers, held, unfollowed, dropped }: TraceVerdict): string[] {
  return [
    ...sent.map((one) => `Verdict: sent to ${sentText(one)}`),
    ...(controllers > 0 ? [`Verdict: sent to controllers, ${plural(controllers, 'time')}`] : []),
    ...(held ? ['Verdict: held until the rest of its datagram is there'] : []),
    ...(unfollowed > 0 ? [`Verdict: goes round on and on, not followed any further`] : []),
    ...(dropped === undefined
      ? []
      : [`Verdict: dropped, ${dropped}${REASONS[dropped] ? ` (${REASONS[dropped]})` : ''}`]),
  ];
}

function sentText({ port, up, length, changed }: TraceSent): string {
  const form = changed === '' ? 'as it came in' : `with ${changed}`;
  return `${port}, ${plural(length, 'byte')}, ${form}${up ? '' : '; the port is down'}`;
}

function whyNotText({ flow, table, isThere, lookUps }: TraceWhyNot): string[] {
  const head = `Why not ${flow}:`;
  const absent = isThere ? [] : [`${INDENT}table ${table} has no such flow`];
  if (lookUps.length === 0) return [head, ...absent, `${INDENT}the packet never came to table ${table}`];
  const answers = new Set(lookUps.map((lookUp) => `${INDENT}${lookUpText(lookUp, isThere)}`));
  return [head, ...absent, ...answers];
}

function lookUpText({ recirculation, applied, differences, winner }: TraceLookUp, isThere: boolean): string {
  const when = recirculation === 0 ? '' : `in recirc(0x${recirculation.toString(16)}) `;
  if (applied) return `${when}it is the flow that took the packet`;
  if (differences.length > 0) return `${when}it does not match: ${differencesText(differences)}`;
  const other = winner ? `; this one took the packet: ${flowText(winner)}` : '; no other took the packet';
  return `${when}${isThere ? 'it matches, but another was tried first' : 'it would match'}${other}`;
}
