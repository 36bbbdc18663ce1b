/** What `nat` must agree on with itself and with the zones of the policy. */
import type { Problem } from '../yaml/problem.ts';
import { oneOf } from '../yaml/schema.ts';
import type { Source } from '../yaml/source.ts';
import { addressRange, isWithin, networkOf, parseRange, parseTarget, type Range } from './addresses.ts';
import { checkPair } from './check-zones.ts';
import { portsForZones, type Sections, zonesOf } from './plan.ts';
import type { NatSection } from './schema.ts';

export function checkNat(source: Source, sections: Sections, nat: NatSection): Problem[] {
  return [
    ...checkRouter(source, sections, nat),
    ...checkPortsAreIn(source, sections),
    ...checkMasquerades(source, nat),
    ...checkForwards(source, nat),
  ];
}

const hostOf = (address: string) => address.split('/')[0]!;
const overlap = (one: Range, other: Range) => one.first <= other.last && other.first <= one.last;

function* checkRouter(source: Source, { policy }: Sections, { router }: NatSection): Iterable<Problem> {
  const zones = Object.keys(policy.zones);
  for (const zone of Object.keys(router)) {
    if (!zones.includes(zone)) yield source.wrongKey(['nat', 'router', zone], oneOf(zones));
  }
  for (const zone of zones) {
    if (!Object.hasOwn(router, zone)) {
      yield source.wrongValue(['nat', 'router', zone], `the router’s address in zone ${zone}`, 'nothing');
    }
  }
  let gateway: string | undefined;
  const networks: [zone: string, network: string][] = [];
  for (const [zone, side] of Object.entries(router)) {
    const path = ['nat', 'router', zone];
    const network = networkOf(side.address);
    const other = networks.find(
      ([, one]) => isWithin(hostOf(one), network) || isWithin(hostOf(network), one),
    );
    if (other)
      yield source.wrongValue([...path, 'address'], `a network apart from that of ${other[0]}, ${other[1]}`);
    networks.push([zone, network]);
    const lies = `another address in ${network}`;
    const isNeighbour = (address: string) => isWithin(address, network) && address !== hostOf(side.address);
    if (side.gateway !== undefined) {
      if (!isNeighbour(side.gateway)) yield source.wrongValue([...path, 'gateway'], lies);
      if (gateway !== undefined)
        yield source.wrongKey([...path, 'gateway'], `one gateway, which ${gateway} has`);
      gateway = zone;
    }
    for (const [i, address] of side.neighbours.entries()) {
      if (!isNeighbour(address)) yield source.wrongValue([...path, 'neighbours', i], lies);
    }
  }
}

/** Zones of a router are a bridge each, so what is in none would be connected to nothing. */
function* checkPortsAreIn(source: Source, sections: Sections): Iterable<Problem> {
  const zoned = new Set(Object.values(sections.policy.zones).flat());
  for (const port of portsForZones(sections)) {
    if (!zoned.has(port)) yield source.wrongKey(['ports', port], 'a port in a zone, since nat joins zones');
  }
}

function* checkMasquerades(source: Source, { router, masquerade }: NatSection): Iterable<Problem> {
  for (const [i, { zones, address }] of masquerade.entries()) {
    const path = ['nat', 'masquerade', i];
    yield* checkPair(source, zones, [...path, 'zones'], Object.keys(router));
    const [from, to] = zonesOf(zones);
    if (from === to) yield source.wrongValue([...path, 'zones'], 'two zones');
    const earlier = masquerade.findIndex((other) => other.zones === zones);
    if (earlier < i) {
      yield source.wrongValue([...path, 'zones'], `zones that masquerade ${earlier} does not have`);
    }
    if (address === undefined) continue;
    const { first, last } = addressRange(address);
    if (first > last) yield source.wrongValue([...path, 'address'], 'the lower address first');
  }
}

function* checkForwards(source: Source, { router, masquerade, forward }: NatSection): Iterable<Problem> {
  const networks = Object.entries(router).map(([zone, { address }]) => [zone, networkOf(address)] as const);
  const zoneOf = (address: string) => networks.find(([, network]) => isWithin(address, network))?.[0];
  const anywhere = `an address in ${networks.map(([, network]) => network).join(' or ')}`;
  const masqueraded = masquerade.map(({ zones }) => zonesOf(zones)[1]);
  for (const [i, { address, protocol, port, to }] of forward.entries()) {
    const wrong = (key: string, expected: string) => source.wrongValue(['nat', 'forward', i, key], expected);
    const target = parseTarget(to)!;
    const ports = parseRange(port)!;
    const zone = zoneOf(target.address);
    if (zoneOf(address) === undefined) yield wrong('address', anywhere);
    if (zone === undefined) yield wrong('to', anywhere);
    else if (target.address === address) yield wrong('to', 'another address');
    else if (masqueraded.includes(zone))
      yield wrong('to', 'an address in a zone that nothing is masqueraded to');
    if (target.port !== undefined && ports.first !== ports.last) {
      yield wrong('to', 'no port: each port of a range stays what it is');
    }
    const earlier = forward.findIndex(
      (other) =>
        other.address === address && other.protocol === protocol && overlap(parseRange(other.port)!, ports),
    );
    if (earlier < i) yield wrong('port', `a port that forward ${earlier} does not have`);
  }
}
