/**
 * The tables that a policy becomes, and how their flows are written.
 *
 *      0 entry       which zone the port is in; learns the sender's MAC
 *      1 protocol    ARP and neighbour discovery pass; IP goes through ct(); the router answers ARP
 *      2 tracked     what is invalid is dropped; what is sent to the router is routed, the rest is switched
 *                    ┌──────────── switched ────────────┐   ┌─────────────── routed ───────────────┐
 *      7 stations    the port and zone of each MAC          3 own        forwards; what is for the router itself
 *                                                           4 routes     which zone, which next hop
 *                                                           5 neighbours the MAC and port of each next hop
 *                                                           6 routed     no neighbour: dropped
 *                    └──────────────────────────┬───────────────────────────────────────────────┘
 *      8 decision    a connection's first packet goes to the rules, others to the output
 *      9 rules       one priority a rule
 *     10 commit      the connection is allowed: tracked from here on, with its translation
 *     11 output      to the port, or to all of the zone
 *     12 questions   the router asks for the neighbours that it must know
 *     13 denied      what a rule denies and logs: a controller is shown it, and it is dropped
 *
 * Rules see addresses as the hosts inside have them: a forward puts the real destination into the packet before
 * the rules look (table 3), and takes it back out for ct() to translate once they have allowed it (table 10).
 * So nothing is tracked that no rule has allowed. What a connection that exists has translated already
 * (+snat, +dnat) was allowed when that one began, also while it is still +new.
 */

export const TABLE = {
  entry: 0,
  protocol: 1,
  tracked: 2,
  own: 3,
  routes: 4,
  neighbours: 5,
  routed: 6,
  stations: 7,
  decision: 8,
  rules: 9,
  commit: 10,
  output: 11,
  questions: 12,
  denied: 13,
} as const;

/** What is known of a packet on its way, all zero when it comes in. */
export const ZONE_FROM = 'reg0';
/** The port to send to; 0: all of the zone. */
export const PORT = 'reg1';
export const ZONE_TO = 'reg2';
/** IPv4 address of the next hop. */
export const NEXT_HOP = 'reg3';
/** Number of the forward that it takes, from 1. */
export const FORWARD = 'reg4';

/** A register in the words of `move` and `learn`. */
export const nxm = (register: string): string => `NXM_NX_${register.toUpperCase()}`;

/** The zone of connection tracking that a policy's connections are in. */
export const CT_ZONE = 1;

/** The first packet of a connection that is not tracked yet, so that rules must decide. */
export const UNDECIDED = 'ct_state=+new+trk-snat-dnat';
/** What belongs to a connection that was allowed, and what no connection was asked for. */
export const DECIDED = ['-trk', '+est+trk', '+rel+trk', '+snat+trk', '+dnat+trk'].map(
  (bits) => `ct_state=${bits}`,
);

export const set = (register: string, value: number | string): string => `set_field:${value}->${register}`;

export const resubmit = (table: keyof typeof TABLE): string => `resubmit(,${TABLE[table]})`;

/** Two fields of a packet, each with what the other had. */
export const swap = (one: string, other: string): string[] => [
  `push:${one}[]`,
  `push:${other}[]`,
  `pop:${one}[]`,
  `pop:${other}[]`,
];

/** Switched within its bridge. */
export const SWITCHED = [resubmit('stations'), resubmit('decision')];

export interface FlowParts {
  priority: number;
  match?: readonly string[];
  cookie?: number;
  /** None: drop. */
  actions?: readonly string[];
}

export function flow(
  table: keyof typeof TABLE,
  { priority, match = [], cookie = 0, actions = [] }: FlowParts,
): string {
  const label = cookie === 0 ? [] : [`cookie=0x${cookie.toString(16)}`];
  const front = [`table=${TABLE[table]}`, ...label, `priority=${priority}`, ...match];
  return `${front.join(',')} actions=${actions.length === 0 ? 'drop' : actions.join(',')}`;
}
