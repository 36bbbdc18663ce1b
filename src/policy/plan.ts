/** What the compiler works from: zones with numbers and ports, the router's interfaces, translations settled. */
import {
  addressMatches,
  addressRange,
  ipv4Number,
  isWithin,
  networkOf,
  parseRange,
  parseTarget,
  type Range,
} from './addresses.ts';
import type { NatSection, PolicySection } from './schema.ts';

/** Of a configuration, what a policy needs to know. */
export interface Sections {
  readonly ports: Readonly<Record<string, unknown>>;
  readonly mirrors: Readonly<Record<string, { readonly output: string }>>;
  readonly limits: { readonly macs: number };
  readonly macAgeingSeconds: number;
  readonly policy: PolicySection;
  readonly nat?: NatSection | undefined;
}

export interface Zone {
  /** From 1; 0 stands for everywhere. */
  readonly number: number;
  readonly ports: readonly string[];
}

/** The router in a zone. */
export interface Interface {
  readonly zone: Zone;
  readonly address: string;
  readonly network: string;
  readonly mac: string;
  /** As flows match them: its own address and all others that it has for translations. */
  readonly own: readonly string[];
}

/** An address at which the router asks for a MAC. */
export interface Question {
  readonly from: Interface;
  readonly target: string;
}

export interface Forward {
  readonly number: number;
  readonly address: string;
  readonly protocol: string;
  readonly ports: Range;
  readonly to: { readonly address: string; readonly port?: number };
}

export interface Masquerade {
  readonly from: Zone;
  readonly to: Zone;
  /** As `nat(src=…)` takes it. */
  readonly source: string;
}

export interface Plan {
  readonly policy: PolicySection;
  readonly zones: ReadonlyMap<string, Zone>;
  /** Ports in no zone; those that are added later are among them. */
  readonly elsewhere: Zone;
  readonly mostMacs: number;
  readonly macAgeingSeconds: number;
  /** Undefined: one bridge of all ports. */
  readonly router: Router | undefined;
}

/** Joins zones that are a bridge each. */
export interface Router {
  readonly interfaces: readonly Interface[];
  /** All addresses that the router has, as flows match them. */
  readonly own: readonly string[];
  readonly gateway: Question | undefined;
  readonly questions: readonly Question[];
  readonly masquerades: readonly Masquerade[];
  readonly forwards: readonly Forward[];
}

/** `inside to outside`. */
export function zonesOf(pair: string): [from: string, to: string] {
  const [from, to] = pair.split(' to ');
  return [from!, to!];
}

/** Ports that belong into zones: those that mirrors send to only get copies. */
export function portsForZones({ ports, mirrors }: Pick<Sections, 'ports' | 'mirrors'>): string[] {
  const outputs = new Set(Object.values(mirrors).map(({ output }) => output));
  return Object.keys(ports).filter((port) => !outputs.has(port));
}

/** Of sections that `checkPolicy` has found no fault with. */
export function planOf(sections: Sections): Plan {
  const { policy, nat, limits, macAgeingSeconds } = sections;
  const entries = Object.entries(policy.zones);
  const zones = new Map(entries.map(([name, ports], i) => [name, { number: i + 1, ports }]));
  const zoned = new Set(entries.flatMap(([, ports]) => ports));
  const elsewhere = {
    number: zones.size + 1,
    ports: portsForZones(sections).filter((port) => !zoned.has(port)),
  };
  const router = nat && routerOf(nat, zones);
  return { policy, zones, elsewhere, mostMacs: limits.macs, macAgeingSeconds, router };
}

const hostOf = (address: string): string => address.split('/')[0]!;

function routerOf(nat: NatSection, zones: ReadonlyMap<string, Zone>): Router {
  const own = ownAddresses(nat);
  const interfaces = Object.entries(nat.router).map(([name, { address }]) => {
    const network = networkOf(address);
    return {
      zone: zones.get(name)!,
      address: hostOf(address),
      network,
      mac: macOf(hostOf(address)),
      own: own.filter((block) => isWithin(hostOf(block), network)),
    };
  });
  const ask = (target: string): Question => ({
    from: interfaces.find(({ network }) => isWithin(target, network))!,
    target,
  });
  const sides = Object.values(nat.router);
  const gateways = sides.flatMap(({ gateway }) => gateway ?? []);
  const neighbours = sides.flatMap((side) => side.neighbours);
  const forwards = nat.forward.map(forwardOf);
  const targets = new Set([...gateways, ...neighbours, ...forwards.map(({ to }) => to.address)]);
  return {
    interfaces,
    own,
    gateway: gateways.map(ask)[0],
    questions: [...targets].map(ask),
    masquerades: nat.masquerade.map((one) => masqueradeOf(one, nat, zones)),
    forwards,
  };
}

type MasqueradeSection = NatSection['masquerade'][number];

/** The addresses of which connections get one: those given, or the router's in the zone that they go to. */
function poolOf({ zones, address }: MasqueradeSection, { router }: NatSection): string {
  const [, to] = zonesOf(zones);
  return address ?? hostOf(router[to]!.address);
}

function ownAddresses(nat: NatSection): string[] {
  const all = [
    ...Object.values(nat.router).map(({ address }) => hostOf(address)),
    ...nat.masquerade.map((one) => poolOf(one, nat)),
    ...nat.forward.map(({ address }) => address),
  ];
  return [...new Set(all.map(addressRange).flatMap(addressMatches))];
}

function masqueradeOf(
  section: MasqueradeSection,
  nat: NatSection,
  zones: ReadonlyMap<string, Zone>,
): Masquerade {
  const [from, to] = zonesOf(section.zones);
  const pool = poolOf(section, nat);
  const source = section.ports === undefined ? pool : `${pool}:${section.ports}`;
  return { from: zones.get(from)!, to: zones.get(to)!, source };
}

function forwardOf({ address, protocol, port, to }: NatSection['forward'][number], i: number): Forward {
  return { number: i + 1, address, protocol, ports: parseRange(port)!, to: parseTarget(to)! };
}

/** The router's MAC where it has an IPv4 address: locally administered, and the same at every start. */
function macOf(address: string): string {
  const bytes = ipv4Number(address).toString(16).padStart(8, '0').match(/../g)!;
  return ['02', '00', ...bytes].join(':');
}
