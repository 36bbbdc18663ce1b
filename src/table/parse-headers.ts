/** Actions that add, take off or count down headers: tags, labels and times to live. */
import type { Action } from './action.ts';
import { type ActionParser, type Context, plain } from './context.ts';
import { ETH_MPLS, ETH_MPLS_MULTICAST } from './protocols.ts';
import { fail, type Item, parseNumber, splitCommas, valueFor, withoutValue } from './syntax.ts';

function pushVlan(item: Item, context: Context): Action {
  const value = valueFor(item, 'push_vlan:0x8100 or push_vlan:0x88a8');
  const tpid = Number(value.text);
  if (tpid !== 0x8100 && tpid !== 0x88a8) fail(value, `"${value.text}"`, '0x8100 or 0x88a8');
  context.tags++;
  return { kind: 'pushVlan', tpid };
}

function popVlan(item: Item, context: Context): Action {
  withoutValue(item);
  context.tags = Math.max(0, context.tags - 1);
  return { kind: 'popVlan' };
}

/** What is behind a label is unknown, until the label is gone and the action says what was behind it. */
function pushMpls(item: Item, context: Context): Action {
  const value = valueFor(item, 'push_mpls:0x8847 or push_mpls:0x8848');
  const ethType = Number(value.text);
  if (ethType !== ETH_MPLS && ethType !== ETH_MPLS_MULTICAST) {
    fail(value, `"${value.text}"`, '0x8847 or 0x8848');
  }
  Object.assign(context, { ethType, nwProto: undefined, icmpType: undefined });
  return { kind: 'pushMpls', ethType };
}

function popMpls(item: Item, context: Context): Action {
  const value = valueFor(item, 'pop_mpls:ETHERTYPE');
  const ethType = parseNumber(value, 'an Ethernet type', 0xffff);
  Object.assign(context, { ethType, nwProto: undefined, icmpType: undefined });
  return { kind: 'popMpls', ethType };
}

/** `dec_ttl`, `dec_ttl(CONTROLLER,…)`. */
function decTtl({ value }: Item): Action {
  const listed = value && value.text.trim() !== '' ? splitCommas(value) : [];
  return {
    kind: 'decTtl',
    controllers: listed.map((token) => parseNumber(token, 'a controller', 0xffff)),
  };
}

export const HEADERS: ReadonlyMap<string, ActionParser> = new Map<string, ActionParser>([
  ['push_vlan', pushVlan],
  ['pop_vlan', popVlan],
  ['strip_vlan', popVlan],
  ['push_mpls', pushMpls],
  ['pop_mpls', popMpls],
  ['dec_ttl', decTtl],
  ['dec_mpls_ttl', plain({ kind: 'decMplsTtl' })],
]);
