/**
 * The switch as people and programs see it: the rows that `heddle show` prints, the summary of a run, and
 * the few things one can ask of a running switch. Plain values, the same in the process, on the control
 * socket and in `--json`.
 */
import type { Timeouts } from './timeouts.ts';

export interface PortRow {
  number: number;
  name: string;
  type: string;
  /** The datapath threads that have its queues, in their order, from 1. */
  threads: number[];
  /** Whether it carries frames. */
  state: 'up' | 'down';
  /** Whether somebody is at the other end. */
  carrier: boolean;
  /** Why it is down. */
  reason: string;
  /** How long it has been up or down. */
  sinceSeconds: number;
  mtu: number;
  // As `ip -s link` has them.
  rxPackets: number;
  rxBytes: number;
  /** What came and cannot be a frame. */
  rxErrors: number;
  /** What the kernel kept from the switch, other than for want of room. */
  rxDropped: number;
  /** What the kernel had no room for: the switch was behind. */
  rxMissed: number;
  txPackets: number;
  txBytes: number;
  /** What the kernel refused. */
  txErrors: number;
  /** What was too long, found no room, or found the port down. */
  txDropped: number;
  /** Frames from there that a handler was given: no megaflow took them, or they were for the controller. */
  upcalls: number;
  /** Frames that it was not given: so many from there were waiting already. */
  upcallsRefused: number;
}

/** A match-action table that has rules, or was looked up in. */
export interface TableRow {
  table: number;
  rules: number;
  /** Packets that were looked up in it, as often as they were, and those of them that hit a rule. */
  lookups: number;
  matched: number;
}

/** A flow of the match-action tables. */
export interface FlowRow {
  /** In normal form, as `heddle check` prints it. */
  text: string;
  packets: number;
  bytes: number;
}

export interface MegaflowRow {
  number: number;
  text: string;
  packets: number;
  bytes: number;
  /** Since the last packet. */
  usedMs: number;
}

export type ThreadRole = 'datapath' | 'handler' | 'revalidator';

export interface ThreadRow {
  number: number;
  role: ThreadRole;
  ports: string[];
  /** Share of a recent second in which it had work. */
  load: number;
  batches: number;
  packets: number;
  packetsPerBatch: number;
  /** How often it went to sleep for want of work. */
  sleeps: number;
  /** How often work woke it. */
  wakeUps: number;
  /** How often it died and was started anew. */
  restarts: number;
  /** Where its time goes. */
  stages: StageRow[];
}

/** What a stage costs a thread, from the batches that were timed. */
export interface StageRow {
  stage: string;
  /** Of the batches that were timed. */
  packets: number;
  nsPerPacket: number;
  /** At the processor's frequency as measured when it was first asked for. */
  cyclesPerPacket: number;
}

/** Drops by reason, and everything else that is counted. */
export interface CounterRow {
  name: string;
  value: number;
}

/** A region of the arena. */
export interface MemoryRow {
  region: string;
  address: number;
  bytes: number;
  records: number;
  recordBytes: number;
  /** Records in use, and at most how many ever were; absent: nobody counts. */
  used?: number;
  mostUsed?: number;
  /** Bytes on pages that were ever touched, and so take up memory; absent: the system cannot be asked. */
  touchedBytes?: number;
}

/** Where NORMAL has learned an address to be. */
export interface MacRow {
  vlan: number;
  mac: string;
  port: string;
  ageSeconds: number;
}

/** Copies of what comes `from` ports, and goes `to` ports, go to `output`. */
export interface MirrorRow {
  name: string;
  from: string[];
  to: string[];
  output: string;
}

/** How many connections there may be in a zone. */
export interface LimitRow {
  /** `all`: in all zones together; `default`: what zones have that have no limit of their own. */
  zone: number | 'all' | 'default';
  /** null: none. */
  limit: number | null;
  /** Connections that count; null: each zone counts its own. */
  count: number | null;
}

/** How long connections of a zone last without a packet. */
export interface TimeoutRow {
  /** `default`: what zones have that have none of their own. */
  zone: number | 'default';
  /** Of a zone only its own. */
  seconds: Timeouts;
}

/** What zones are given on the command line. */
export const ZONE_SETTINGS = ['limits', 'timeouts'] as const;
export type ZoneSetting = (typeof ZONE_SETTINGS)[number];
export const ZONE_ACTIONS = ['set', 'del'] as const;
export type ZoneAction = (typeof ZONE_ACTIONS)[number];

/** What is done about the upkeep of installed flows on the command line. */
export const UPCALL_ACTIONS = ['set', 'pause', 'resume', 'wait', 'purge', 'replace'] as const;
export type UpcallAction = (typeof UPCALL_ACTIONS)[number];

/** How installed flows are looked after: of all together, then of each thread that does something for it. */
export type UpcallRow = UpkeepRow | UpcallDatapathRow | UpcallHandlerRow | RevalidatorRow;

export interface UpkeepRow {
  kind: 'flows';
  current: number;
  /** When rounds began, lately, and at most ever. */
  average: number;
  most: number;
  /** So many may be installed now, and so many at most whatever else. */
  limit: number;
  ceiling: number;
  /** How long the last round took. */
  dumpMs: number;
  rounds: number;
  isPaused: boolean;
  /** After so long without a packet a flow goes now. */
  idleMs: number;
  /** As set. */
  maxIdleMs: number;
  maxRevalidatorMs: number;
  minPacketsPerSecond: number;
  /** Whether a flow takes the place of one that was evicted before that is swept. */
  replacesEvicted: boolean;
  /** Flows by reason; only reasons that occurred. */
  evicted: Record<string, number>;
  refusedMoves: number;
}

export interface UpcallHandlerRow {
  kind: 'handler';
  thread: number;
  handled: number;
  /** In its queues. */
  waiting: number;
}

export interface UpcallDatapathRow {
  kind: 'datapath';
  thread: number;
  /** Packets that wait until a handler is done with those before them. */
  waiting: number;
}

export interface RevalidatorRow {
  kind: 'revalidator';
  thread: number;
  /** In its share. */
  flows: number;
  /** What these cost a flow; absent: there was none yet. */
  dumpNs?: number;
  sweepNs?: number;
  translateNs?: number;
}

/** What became of the fragments that were to be tracked, of one version of IP. */
export interface FragmentRow {
  version: 'IPv4' | 'IPv6';
  /** Whether they are held until their datagram is there; else they are invalid. */
  tracked: boolean;
  /** Bytes of a frame that has a fragment which is not the last. */
  leastBytes: number;
  accepted: number;
  completed: number;
  expired: number;
  tooSmall: number;
  overlapping: number;
  noRoom: number;
  held: number;
  /** So many of both may be held at a time. */
  most: number;
}

/** What `show` can list, and the rows it lists. */
export interface Shown {
  ports: PortRow;
  tables: TableRow;
  flows: FlowRow;
  megaflows: MegaflowRow;
  threads: ThreadRow;
  counters: CounterRow;
  memory: MemoryRow;
  macs: MacRow;
  mirrors: MirrorRow;
  limits: LimitRow;
  timeouts: TimeoutRow;
  expectations: ExpectationRow;
  fragments: FragmentRow;
  upcalls: UpcallRow;
}

export const SHOWN = [
  'ports',
  'tables',
  'flows',
  'megaflows',
  'threads',
  'counters',
  'memory',
  'macs',
  'mirrors',
  'limits',
  'timeouts',
  'expectations',
  'fragments',
  'upcalls',
] as const;

/** What `heddle flows`, `groups` and `meters` can ask for. */
export const RULE_COMMANDS = {
  flows: [
    'dump',
    'add',
    'modify',
    'modify-strict',
    'delete',
    'delete-strict',
    'replace',
    'bundle',
    'snapshot',
  ],
  groups: ['dump', 'stats', 'add', 'modify', 'add-or-modify', 'delete'],
  meters: ['dump', 'stats', 'add', 'modify', 'delete'],
} as const;
export type RuleKind = keyof typeof RULE_COMMANDS;
export type RuleCommand<Kind extends RuleKind = RuleKind> = (typeof RULE_COMMANDS)[Kind][number];

/** A packet that the tables sent to a controller. */
export interface PacketInEvent {
  kind: 'packetIn';
  /** Switch clock. */
  atMs: number;
  reason: string;
  table: number;
  /** In hex, as all cookies here. */
  cookie: string;
  /** Where it came in. */
  port: string;
  controller: number;
  /** Bytes of the packet, of which `bytes` may be the first. */
  length: number;
  /** In hex. */
  bytes: string;
  userdata?: string;
  /** Where it would go on. */
  continuation?: number;
  /** What its headers say; empty when they are cut or wrong. */
  packet: string;
}

/** A packet that a sample action chose. */
export interface SampleEvent
  extends Pick<PacketInEvent, 'atMs' | 'table' | 'cookie' | 'port' | 'length' | 'bytes' | 'packet'> {
  kind: 'sample';
  collectorSet: number;
  domain: number;
  point: number;
}

/** A flow with `send_flow_rem` that went. */
export interface FlowRemovedEvent {
  kind: 'flowRemoved';
  atMs: number;
  reason: string;
  table: number;
  cookie: string;
  flow: string;
  durationSeconds: number;
  packets: number;
  bytes: number;
}

export type SwitchEvent = PacketInEvent | SampleEvent | FlowRemovedEvent;

/** What happened since a monitor last looked, and how many events it had no room for. */
export interface Watched {
  events: SwitchEvent[];
  lost: number;
}

/** What names the packets of one direction of a connection, as they come in. ICMP has no ports. */
export interface ConnectionEnds {
  src: string;
  dst: string;
  sport?: number;
  dport?: number;
  id?: number;
  type?: number;
  code?: number;
}

/** With what it has counted. */
export interface ConnectionTuple extends ConnectionEnds {
  packets: number;
  bytes: number;
}

/** A tracked connection. */
export interface ConnectionRow {
  /** IP protocol number. */
  protocol: number;
  original: ConnectionTuple;
  reply: ConnectionTuple;
  zone: number;
  mark: number;
  /** In hex. */
  labels: string;
  /** Of TCP: one for both ends, as Open vSwitch shows it; and those of the ends. */
  state?: string;
  originalState?: string;
  replyState?: string;
  /** Who looks at its packets for others that they announce. */
  helper?: 'ftp' | 'tftp';
  /** Whether a packet of the reply was seen. */
  replied: boolean;
  snat: boolean;
  dnat: boolean;
  expiresSeconds: number;
  ageSeconds: number;
}

/** A connection that another one has announced: its parent. */
export interface ExpectationRow {
  protocol: number;
  /** Its source port may be any, and is 0. */
  original: ConnectionEnds;
  /** The original direction of its parent. */
  parent: ConnectionEnds;
  zone: number;
  mark: number;
  labels: string;
}

/** Some connections, and where to go on; no `next`: that was all. */
export interface ConnectionPage {
  rows: ConnectionRow[];
  next?: number;
}

/** How many connections were removed; `next` the same. */
export interface FlushPage {
  count: number;
  next?: number;
}

/** Something that happened to a connection. */
export interface ConnectionEvent {
  kind: 'new' | 'update' | 'destroy';
  /** Why it is no more. */
  reason?: string;
  /** Switch clock. */
  atMs: number;
  /** As it was then. */
  connection: ConnectionRow;
}

/** What happened since a watcher last looked, and how many events there was no room for. */
export interface WatchedConnections {
  events: ConnectionEvent[];
  lost: number;
}

/** A packet that is to be traced: what a flow says of it, or a frame in hex and where it comes in. */
export type TracePacket = { flow: string } | { frame: string; port: string };

export interface TraceQuestion {
  packet: TracePacket;
  /** A flow, in flow syntax: why it did not apply. */
  whyNot?: string | undefined;
}

/** Why a packet goes where it goes. */
export interface Trace {
  /** The switch. */
  name: string;
  rounds: TraceRound[];
  /** Those that the rounds name, by index. */
  connections: ConnectionRow[];
  verdict: TraceVerdict;
  whyNot?: TraceWhyNot;
}

/** A way of the packet, or of a copy of it, through the tables; the first one as it came in. */
export interface TraceRound {
  /** Under which number it went round; 0: it came in. */
  recirculation: number;
  /** All that its key says, in flow syntax; then at the end of the tables. */
  flow: string;
  finalFlow: string;
  steps: TraceStep[];
  /** As `show megaflows` has it. */
  megaflow: { match: string; actions: string };
  /** The number of the live megaflow that takes it now; null: it goes to the handler. */
  liveMegaflow: number | null;
}

export type TraceStep =
  | TraceTable
  | { kind: 'action'; text: string; steps: TraceStep[] }
  /** Of a group; `chosen`: of a select group, whether this packet takes it. */
  | { kind: 'bucket'; bucket: number; chosen?: boolean; steps: TraceStep[] }
  | { kind: 'actionSet'; steps: TraceStep[] }
  | TraceConnection
  | { kind: 'note'; text: string };

/** The packet is looked up in a table. */
export interface TraceTable {
  kind: 'table';
  table: number;
  /** The flow that applies; none: no flow matches. */
  flow?: TraceFlow;
  /** Flows that would have been tried before, and nearly match. */
  missed: TraceMiss[];
  steps: TraceStep[];
}

export interface TraceFlow {
  /** Empty: it matches everything. */
  match: string;
  priority: number;
  /** In hex. */
  cookie: string;
}

export interface TraceMiss {
  flow: TraceFlow;
  differences: TraceDifference[];
}

/** A field in which packet and flow differ, each as flow syntax writes it. */
export interface TraceDifference {
  field: string;
  packet: string;
  flow: string;
}

/** ct() looks for the packet's connection. */
export interface TraceConnection {
  kind: 'connection';
  zone: number;
  /** `new`: there is none; `made`: one is made; `held`: a fragment, which waits for the rest of its datagram. */
  outcome: 'invalid' | 'new' | 'made' | 'found' | 'held';
  /** The packet's ct_state from here on. */
  state: string;
  /** Which of the trace's connections; of one that is made, as it would be. */
  connection?: number;
}

/** What becomes of the packet. */
export interface TraceVerdict {
  sent: TraceSent[];
  /** How often it goes to a controller. */
  controllers: number;
  /** A fragment of it waits for others. */
  held: boolean;
  /** Copies that were still going round when there had been too many rounds to tell of. */
  unfollowed: number;
  /** Why it is dropped, when nobody gets it. */
  dropped?: string;
}

export interface TraceSent {
  port: string;
  up: boolean;
  /** Bytes of the frame. */
  length: number;
  /** What is not as the packet came in, in flow syntax; empty: nothing. */
  changed: string;
}

/** Why a flow did not apply. */
export interface TraceWhyNot {
  /** As it was given, in normal form. */
  flow: string;
  table: number;
  /** Whether the table has it; with other actions or, if none was given, another priority it is the same. */
  isThere: boolean;
  /** Each time that the packet was looked up in its table. */
  lookUps: TraceLookUp[];
}

export interface TraceLookUp {
  recirculation: number;
  /** It did apply. */
  applied: boolean;
  /** None: it matches. */
  differences: TraceDifference[];
  /** The flow that applied. */
  winner?: TraceFlow;
}

/**
 * A run so far. Every packet received has one fate: packetsReceived = packetsForwarded + packetsQueued +
 * the sum of `dropped`. Copies are what outputs beyond a packet's first needed; they have fates of their own.
 */
export interface Summary {
  name: string;
  /** On the switch clock. */
  durationMs: number;
  packetsReceived: number;
  packetsForwarded: number;
  /** On their way: in a queue, or waiting for the handler. */
  packetsQueued: number;
  /** Packets by reason; only reasons that occurred. */
  dropped: Record<string, number>;
  copiesForwarded: number;
  copiesDropped: Record<string, number>;
  ports: PortRow[];
  megaflows: number;
  cacheHits: number;
  classifierHits: number;
  upcalls: number;
}

/** A second of a running switch, as `heddle top` shows it; rates are per second of the switch clock. */
export interface TopRow {
  name: string;
  durationMs: number;
  threads: TopThread[];
  ports: TopPort[];
  megaflows: number;
  packetsForwardedPerSecond: number;
  upcallsPerSecond: number;
  /** By reason. */
  droppedPerSecond: Record<string, number>;
}

export interface TopThread {
  number: number;
  role: ThreadRole;
  load: number;
  packetsPerSecond: number;
  packetsPerBatch: number;
  wakeUpsPerSecond: number;
  /** All stages together, from the batches that were timed since the thread began. */
  nsPerPacket: number;
  restarts: number;
}

export interface TopPort {
  number: number;
  name: string;
  state: PortRow['state'];
  rxPacketsPerSecond: number;
  rxBytesPerSecond: number;
  txPacketsPerSecond: number;
  txBytesPerSecond: number;
  droppedPerSecond: number;
}

/** A running switch, asked from inside the process or through its control socket. */
export interface SwitchControl {
  show<What extends keyof Shown>(what: What): Promise<Shown[What][]>;
  /**
   * Changes or lists flows, groups or meters; `text` has one a line, and may be empty where that means all of
   * them. Returns lines for people. A text that is wrong changes nothing and throws.
   */
  rules<Kind extends RuleKind>(kind: Kind, command: RuleCommand<Kind>, text: string): Promise<string[]>;
  /**
   * Adds a port. `text` is YAML as it would stand behind the port's name in the configuration, braces or not.
   * Throws ConfigError when it is wrong, OpenError when the port cannot be opened; then nothing has changed.
   */
  addPort(name: string, text: string): Promise<void>;
  /** Removes a port; frames that are queued for it are dropped and counted. Throws when there is none. */
  removePort(name: string): Promise<void>;
  /** Adds a port that writes what port `port` receives and sends to a file or pipe; `removePort` ends it. */
  addCapture(name: string, port: string, file: string): Promise<void>;
  /** The same for mirrors: copies of what comes from some ports and goes to some go to another. */
  addMirror(name: string, text: string): Promise<void>;
  removeMirror(name: string): Promise<void>;
  /** What happens from now on; yields every now and then also when nothing has. */
  watch(): AsyncIterable<Watched>;
  /**
   * Connections that pass a filter (`heddle show connections --help` has its words), some at a time: from number
   * `from` on, 0 at first, then what the page before says.
   */
  connections(filter: readonly string[], from: number): Promise<ConnectionPage>;
  /** Removes them instead, some at a time as well. */
  flushConnections(filter: readonly string[], from: number): Promise<FlushPage>;
  /**
   * Sets or deletes limits or timeouts of zones (src/table/zone-limits.ts, zone-timeouts.ts). Returns lines for
   * people; throws when wrong, and then nothing has changed.
   */
  changeZones(setting: ZoneSetting, action: ZoneAction, text: string): Promise<string[]>;
  /**
   * Has installed flows looked after in another way, or now (src/control/revalidation.ts). Returns lines for people;
   * throws when the text is wrong, and then nothing has changed.
   */
  changeUpcalls(action: UpcallAction, text: string): Promise<string[]>;
  /** Whether sequence numbers of TCP are checked, which `on` changes. Returns lines for people. */
  sequenceChecking(on?: boolean): Promise<string[]>;
  /** What happens from now on to those that pass a filter; yields as `watch` does. */
  watchConnections(filter: readonly string[]): AsyncIterable<WatchedConnections>;
  /** Why a packet goes where it goes; nothing is changed by it. Throws TraceError or FlowError when wrong. */
  trace(question: TraceQuestion): Promise<Trace>;
  summary(): Summary;
  /** Ends thread `thread`, from 1, at once, as a crash would: a drill. Returns lines for people. */
  kill(thread: number): Promise<string[]>;
  /** Resolves when nothing more will happen by itself: with `threads: inline`; rejects when a thread fails. */
  readonly finished: Promise<void>;
  /** Sends what is queued, then closes every port. */
  stop(): Promise<void>;
}
