/** Actions as `ovs-ofctl` prints them. */
import type {
  Action,
  ControllerAction,
  CtAction,
  LearnAction,
  LearnSource,
  LearnSpec,
  Nat,
  ResubmitAction,
  SampleAction,
  SetAction,
} from './action.ts';
import { fromNumber, ones } from './bytes.ts';
import type { Field, Subfield } from './fields.ts';
import { isSameSubfield, isWholeField, printSubfield } from './subfield.ts';
import { DEFAULT_PRIORITY } from './syntax.ts';
import { type PortNames, printHex, printIpv4, printIpv6, printPort, printValue } from './values.ts';

const LENGTH_MAX = 0xffff;

const printBytes = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('.');

/** The parts that are there, between parentheses. */
const call = (name: string, parts: readonly (string | false)[]): string =>
  `${name}(${parts.filter((part) => part !== false && part !== '').join(',')})`;

const output = (port: string, maxLength: number | undefined, alone: string): string =>
  maxLength === undefined ? alone : `output(port=${port},max_len=${maxLength})`;

function printController({ reason, maxLength, id, userdata, pause, meter }: ControllerAction): string {
  const isPlain = reason === 'action' && id === 0 && !userdata && !pause && meter === undefined;
  if (isPlain) return `CONTROLLER:${maxLength}`;
  return call('controller', [
    reason !== 'action' && `reason=${reason}`,
    maxLength !== LENGTH_MAX && `max_len=${maxLength}`,
    id !== 0 && `id=${id}`,
    userdata !== undefined && `userdata=${printBytes(userdata)}`,
    pause === true && 'pause',
    meter !== undefined && `meter_id=${meter}`,
  ]);
}

function printSet({ spelling, field, value, mask }: SetAction, names: PortNames | undefined): string {
  if (spelling === 'set_field')
    return `set_field:${printValue({ value, mask }, field, names)}->${field.name}`;
  const own = (bytes: Uint8Array) => bytes.map((byte, i) => byte & field.bits[i]!);
  const printed = printValue({ value: own(value), mask: own(mask) }, field);
  return spelling.startsWith('set_mpls_') ? `${spelling}(${printed})` : `${spelling}:${printed}`;
}

function printSample(action: SampleAction, names: PortNames | undefined): string {
  const { probability, collectorSet, domain, point, samplingPort, direction } = action;
  return call('sample', [
    `probability=${probability}`,
    `collector_set_id=${collectorSet}`,
    `obs_domain_id=${domain}`,
    `obs_point_id=${point}`,
    samplingPort !== undefined && `sampling_port=${printPort(samplingPort, names)}`,
    direction ?? false,
  ]);
}

/** A number as the field writes its values. */
function printImmediate(value: bigint, field: Field, names: PortNames | undefined): string {
  const bytes = fromNumber(value << BigInt(field.shift), field.bytes, field.hostOrder);
  return printValue({ value: bytes, mask: field.bits }, field, names);
}

const printSource = (source: LearnSource): string =>
  typeof source === 'bigint' ? printHex(source) : printSubfield(source);

function printMatchSpec(source: LearnSource, to: Subfield, names: PortNames | undefined): string {
  if (typeof source !== 'bigint') {
    return isSameSubfield(source, to) ? printSubfield(to) : `${printSubfield(to)}=${printSubfield(source)}`;
  }
  if (isWholeField(to)) return `${to.field.name}=${printImmediate(source, to.field, names)}`;
  return `${printSubfield(to)}=${printHex(source)}`;
}

function printSpec(spec: LearnSpec, names: PortNames | undefined): string {
  if (spec.kind === 'output') return `output:${printSubfield(spec.source)}`;
  if (spec.kind === 'match') return printMatchSpec(spec.source, spec.to, names);
  return `load:${printSource(spec.source)}->${printSubfield(spec.to)}`;
}

function printLearn(action: LearnAction, names: PortNames | undefined): string {
  const number = (name: string, value: number) => value !== 0 && `${name}=${value}`;
  return call('learn', [
    `table=${action.table}`,
    number('idle_timeout', action.idleTimeoutS),
    number('hard_timeout', action.hardTimeoutS),
    number('fin_idle_timeout', action.finIdleTimeoutS),
    number('fin_hard_timeout', action.finHardTimeoutS),
    action.priority !== DEFAULT_PRIORITY && `priority=${action.priority}`,
    action.sendFlowRemoved && 'send_flow_rem',
    action.deleteLearned && 'delete_learned',
    action.cookie !== 0n && `cookie=${printHex(action.cookie)}`,
    number('limit', action.limit),
    action.result !== undefined && `result_dst=${printSubfield(action.result)}`,
    ...action.specs.map((spec) => printSpec(spec, names)),
  ]);
}

function printResubmit({ port, table, asFirst }: ResubmitAction, names: PortNames | undefined): string {
  const from = port === undefined ? '' : printPort(port, names);
  return table === undefined ? `resubmit:${from}` : `resubmit(${from},${table}${asFirst ? ',ct' : ''})`;
}

/** `FIRST-LAST`, or one where the two are the same. */
const printRange = (first: string, last: string): string => (first === last ? first : `${first}-${last}`);

/** IPv6 addresses stand in brackets when ports follow. */
function printEnd(end: string, { addresses, ports }: Nat): string {
  if (!addresses) return end;
  const print = (bytes: Uint8Array): string => {
    if (bytes.length === 4) return printIpv4(bytes);
    return ports ? `[${printIpv6(bytes)}]` : printIpv6(bytes);
  };
  const range = printRange(print(addresses.first), print(addresses.last));
  return `${end}=${range}${ports ? `:${printRange(`${ports.first}`, `${ports.last}`)}` : ''}`;
}

/** The same in a flow and in a program. */
export function printNat(nat: Nat): string {
  if (nat.end === undefined) return 'nat';
  return call('nat', [printEnd(nat.end, nat), nat.persistent === true && 'persistent', nat.choice ?? false]);
}

function printCt(action: CtAction, names: PortNames | undefined): string {
  const { commit, force, table, zone, nat, helper, exec } = action;
  const printedZone = typeof zone === 'number' ? `${zone}` : printSubfield(zone);
  return call('ct', [
    commit && 'commit',
    force && 'force',
    table !== undefined && `table=${table}`,
    zone !== 0 && `zone=${printedZone}`,
    nat !== undefined && printNat(nat),
    exec.length > 0 && `exec(${printActions(exec, names)})`,
    helper !== undefined && `alg=${helper}`,
  ]);
}

const ethernetType = (type: number): string => `0x${type.toString(16).padStart(4, '0')}`;

function printAction(action: Action, names: PortNames | undefined): string {
  switch (action.kind) {
    case 'output': {
      const port = printPort(action.port, names);
      return output(port, action.maxLength, `output:${port}`);
    }
    case 'outputField':
      return `output:${printSubfield(action.source)}`;
    case 'inPort':
      return output('IN_PORT', action.maxLength, 'IN_PORT');
    case 'local':
      return output('LOCAL', action.maxLength, 'LOCAL');
    case 'flood':
    case 'all':
    case 'normal':
      return action.kind.toUpperCase();
    case 'controller':
      return printController(action);
    case 'set':
      return printSet(action, names);
    case 'load':
      return `load:${printHex(action.value)}->${printSubfield(action.to)}`;
    case 'move':
      return `move:${printSubfield(action.from)}->${printSubfield(action.to)}`;
    case 'push':
    case 'pop':
      return `${action.kind}:${printSubfield(action.what)}`;
    case 'pushVlan':
      return `push_vlan:${ethernetType(action.tpid)}`;
    case 'popVlan':
      return 'strip_vlan';
    case 'pushMpls':
      return `push_mpls:${ethernetType(action.ethType)}`;
    case 'popMpls':
      return `pop_mpls:${ethernetType(action.ethType)}`;
    case 'decTtl':
      return action.controllers.length === 0 ? 'dec_ttl' : call('dec_ttl', action.controllers.map(String));
    case 'decMplsTtl':
      return 'dec_mpls_ttl';
    case 'resubmit':
      return printResubmit(action, names);
    case 'goto':
      return `goto_table:${action.table}`;
    case 'writeMetadata': {
      const mask = action.mask === ones(64) ? '' : `/${printHex(action.mask)}`;
      return `write_metadata:${printHex(action.value)}${mask}`;
    }
    case 'writeActions':
      return `write_actions(${printActions(action.actions, names)})`;
    case 'clone':
      return `clone(${printActions(action.actions, names)})`;
    case 'clearActions':
      return 'clear_actions';
    case 'meter':
      return `meter:${action.meter}`;
    case 'group':
      return `group:${action.group}`;
    case 'sample':
      return printSample(action, names);
    case 'learn':
      return printLearn(action, names);
    case 'ct':
      return printCt(action, names);
    case 'ctClear':
      return 'ct_clear';
    case 'conjunction':
      return `conjunction(${action.id},${action.clause}/${action.of})`;
    case 'finTimeout':
      return call('fin_timeout', [
        action.idleTimeoutS !== 0 && `idle_timeout=${action.idleTimeoutS}`,
        action.hardTimeoutS !== 0 && `hard_timeout=${action.hardTimeoutS}`,
      ]);
    case 'note':
      return `note:${printBytes(action.bytes)}`;
    case 'exit':
      return 'exit';
  }
}

/** The actions after `actions=`. */
export function printActions(actions: readonly Action[], names?: PortNames): string {
  return actions.length === 0 ? 'drop' : actions.map((action) => printAction(action, names)).join(',');
}
