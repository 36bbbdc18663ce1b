/**
 * Bench `upcalls`: flow set-ups a second. Guests begin connections to servers behind a stateful firewall, which is the
 * policy of examples/firewall.yaml with more services; each packet is the first of a connection, misses, is translated
 * from where connection tracking has left it, and needs a flow of its own:
 *
 *     guests ─▶ ct() ─▶ │ connection state │ MAC of the server │ protocol │ port of the service │ ─▶ commit ─▶ servers
 *
 * So `flows` is a number of servers times as many services. The stations are in the tables before, as they are when
 * they have been learned. What is counted are flows, those that there are in the end; not packets.
 */
import { rolesOf, STAGE_ACT, STAGE_INSTALL, STAGE_PARSE, STAGE_TRANSLATE } from '../datapath.ts';
import { compilePolicy } from '../policy/compile.ts';
import { nxm, PORT, TABLE, ZONE_TO } from '../policy/pipeline.ts';
import { policySection } from '../policy/schema.ts';
import { Rig, udpPacket } from './rig.ts';

export interface UpcallsOptions {
  handlers: number;
  flows: number;
}

/** Of handlers' time, what each does; all parts of a round together are the time that it took. */
export const PARTS = ['translate', 'install', 'parse', 'act', 'rest'] as const;
export type Part = (typeof PARTS)[number];

export interface UpcallsRound {
  /** Flows installed a second. */
  setUps: number;
  /** Microseconds of one handler for each flow. */
  parts: Record<Part, number>;
}

const STAGES: Readonly<Record<Exclude<Part, 'rest'>, number>> = {
  translate: STAGE_TRANSLATE,
  install: STAGE_INSTALL,
  parse: STAGE_PARSE,
  act: STAGE_ACT,
};

const FIRST_SERVICE = 1024;
/** Of the zone and of the port, both the first. */
const SERVERS = 1;

export class UpcallsBench {
  readonly #rig: Rig;
  readonly #flows: number;

  private constructor(rig: Rig, flows: number) {
    this.#rig = rig;
    this.#flows = flows;
  }

  static async start({ handlers, flows }: UpcallsOptions): Promise<UpcallsBench> {
    const side = Math.ceil(Math.sqrt(flows));
    const rig = await Rig.start({
      ports: 3,
      handlers,
      revalidators: 1,
      records: 2 * flows + 256 * (2 + handlers),
      connections: 2 * flows,
      flows: firewall(side),
      packet: udpPacket('10.2.0.1', '10.1.0.0', [40_000, 0]),
      fields: [
        { at: 4, part: 'high', first: 0 }, // the server's MAC
        { at: 32, part: 'high', first: 0, balancedAt: 18 }, // its address; the identification
        { at: 36, part: 'low', first: FIRST_SERVICE },
      ],
      side,
    });
    return new UpcallsBench(rig, flows);
  }

  async round(): Promise<UpcallsRound> {
    const rig = this.#rig;
    await rig.clear();
    await rig.setUp(0, 1); // what packets of all connections have in common until they are tracked
    const before = new Map(this.#spentByPart());
    const flows = this.#flows - 1;
    const tookMs = await rig.setUp(1, this.#flows);
    const { handlers } = rolesOf(rig.arena.limits);
    const us = (ms: number) => (1000 * ms) / flows;
    const parts = this.#spentByPart().map(([part, ms]): [Part, number] => [part, us(ms - before.get(part)!)]);
    const rest = us(handlers * tookMs) - parts.reduce((sum, [, each]) => sum + each, 0);
    return {
      setUps: (1000 * flows) / tookMs,
      parts: Object.fromEntries([...parts, ['rest', rest]]) as Record<Part, number>,
    };
  }

  async end(): Promise<void> {
    await this.#rig.end();
  }

  /** What all handlers have spent so far, in milliseconds. */
  #spent(stage: number): number {
    const { arena, observer } = this.#rig;
    const { datapaths, handlers } = rolesOf(arena.limits);
    const each = Array.from({ length: handlers }, (_, i) => observer.thread(datapaths + i).stages[stage]!.ns);
    return each.reduce((sum, ns) => sum + ns, 0) / 1e6;
  }

  #spentByPart(): [Part, number][] {
    return Object.entries(STAGES).map(([part, stage]) => [part as Part, this.#spent(stage)]);
  }
}

/** The flows of the policy, and the stations that it has learned. */
function firewall(side: number): string {
  const policy = policySection.parse({
    zones: { servers: ['load1'], office: ['load2'], guests: ['load3'] },
    sets: {
      pages: [80, 443, '8000-8080'],
      services: Array.from({ length: side }, (_, i) => FIRST_SERVICE + i),
      lent: ['10.0.3.9', '10.0.3.10'],
    },
    rules: [
      { allow: 'office to servers' },
      { allow: 'guests to servers', protocol: 'tcp', ports: 'pages' },
      { allow: 'guests to servers', protocol: 'udp', ports: ['services', 53] },
      { allow: 'guests to servers', protocol: 'icmp', from: 'lent' },
    ],
  });
  const ports = { load1: {}, load2: {}, load3: {} };
  const limits = { macs: 8192 };
  const stations = Array.from({ length: side }, (_, i) => {
    const actions = [`load:${SERVERS}->${nxm(PORT)}[0..15]`, `load:${SERVERS}->${nxm(ZONE_TO)}[]`];
    return `table=${TABLE.stations},cookie=${SERVERS},dl_dst=${stationOf(i)},actions=${actions}`;
  });
  return [compilePolicy({ ports, mirrors: {}, limits, macAgeingSeconds: 300, policy }), ...stations].join(
    '\n',
  );
}

const stationOf = (i: number): string => `02:00:00:00:${hex(i >> 8)}:${hex(i & 255)}`;
const hex = (byte: number): string => byte.toString(16).padStart(2, '0');
