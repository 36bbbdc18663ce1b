/**
 * Open vSwitch with its user-space datapath, started privately: its database, sockets, logs and process
 * identifiers live in a folder of their own, so an Open vSwitch of the system's is neither used nor disturbed.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { attempt, command, end, lacking } from '../../../src/lab/command.ts';
import { appears } from '../appears.ts';
import type { Offload } from '../topology.ts';
import type { Running, System } from './system.ts';

const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema';
const READY_MS = 10_000;

interface Kind {
  offload: Offload;
  /** Type of the ports; undefined: AF_PACKET. */
  type?: 'afxdp' | 'afxdp-nonpmd';
  /** Options of the ports. */
  options?: Record<string, string>;
  /** Settings of the switch that must stand before it starts. */
  other?: Record<string, string>;
}

export function ovs(name: string, kind: Kind): System {
  return {
    name,
    offload: kind.offload,
    unavailable: () => unavailable(kind),
    async start({ name: bridge, ports }) {
      const folder = mkdtempSync(join(tmpdir(), 'heddle-ovs-'));
      const running = new PrivateOvs(folder);
      try {
        await running.start(kind.other ?? {});
        await running.vsctl('add-br', bridge, '--', 'set', 'bridge', bridge, 'datapath_type=netdev');
        for (const port of Object.values(ports)) await running.addPort(bridge, port, kind);
        return {
          processId: running.switchd!.pid,
          parameters: { version: await version(), ...(await running.ports(Object.values(ports))) },
          stop: () => running.stop(bridge),
        } satisfies Running;
      } catch (error) {
        await running.stop(bridge);
        throw error;
      }
    },
  };
}

export class PrivateOvs {
  database?: ChildProcess;
  switchd?: ChildProcess;
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  async start(other: Record<string, string>): Promise<void> {
    const { folder } = this;
    await command(['ovsdb-tool', 'create', `${folder}/conf.db`, SCHEMA]);
    this.database = this.daemon('ovsdb-server', `${folder}/conf.db`, `--remote=punix:${folder}/db.sock`);
    await appears(`${folder}/db.sock`, this.database, READY_MS);
    await this.vsctl('--no-wait', 'init');
    for (const [key, value] of Object.entries(other))
      await this.vsctl('--no-wait', 'set', 'Open_vSwitch', '.', `other_config:${key}=${value}`);
    this.switchd = this.daemon('ovs-vswitchd', `unix:${folder}/db.sock`);
    await appears(`${folder}/ovs-vswitchd.ctl`, this.switchd, READY_MS);
  }

  vsctl(...args: string[]): Promise<string> {
    return command(['ovs-vsctl', `--db=unix:${this.folder}/db.sock`, '--timeout=10', ...args]);
  }

  appctl(...args: string[]): Promise<string> {
    return command(['ovs-appctl', '-t', `${this.folder}/ovs-vswitchd.ctl`, ...args], { timeoutMs: 10_000 });
  }

  /** Adds a port. `ovs-vsctl` succeeds even when the switch could not open it; the database has the reason. */
  async addPort(bridge: string, port: string, { type, options = {} }: Kind): Promise<void> {
    const settings = [
      ...(type ? [`type=${type}`] : []),
      ...Object.entries(options).map(([k, v]) => `options:${k}=${v}`),
    ];
    const set = settings.length > 0 ? ['--', 'set', 'interface', port, ...settings] : [];
    await this.vsctl('add-port', bridge, port, ...set);
    const error = (await this.vsctl('get', 'interface', port, 'error')).trim();
    if (error !== '[]') throw new Error(`port ${port}: ${error}; ${this.lastError()}`);
  }

  /** How the ports are really driven, as `dpif/show` says: `p1 1/2: (afxdp: n_rxq=1, …)`. */
  async ports(ports: string[]): Promise<Record<string, string>> {
    const shown = await this.appctl('dpif/show');
    for (const port of ports)
      if (!shown.includes(` ${port} `)) throw new Error(`port ${port} was not opened; ${this.lastError()}`);
    const driver = shown.split('\n').find((line) => line.includes(` ${ports[0]} `))!;
    return { ports: /\((.*)\)/.exec(driver)?.[1] ?? '' };
  }

  async stop(bridge: string): Promise<void> {
    if (this.switchd?.exitCode === null && this.switchd.signalCode === null) {
      await attempt([
        'ovs-vsctl',
        `--db=unix:${this.folder}/db.sock`,
        '--timeout=5',
        '--if-exists',
        'del-br',
        bridge,
      ]);
      await this.appctl('exit', '--cleanup').catch(() => {});
      await end(this.switchd);
    }
    if (this.database) await end(this.database);
    rmSync(this.folder, { recursive: true });
  }

  private lastError(): string {
    const log = readFileSync(`${this.folder}/ovs-vswitchd.log`, 'utf8');
    const errors = log.split('\n').filter((line) => line.includes('|ERR|'));
    return errors.at(-1)?.replace(/^[^|]*\|\d+\|/, '') ?? 'its log has no error';
  }

  /** Detached: Ctrl-C is for us, who then end the daemons in order. */
  private daemon(program: string, ...args: string[]): ChildProcess {
    const at = `${this.folder}/${program}`;
    const files = [`--pidfile=${at}.pid`, `--unixctl=${at}.ctl`, `--log-file=${at}.log`];
    const env = { ...process.env, OVS_RUNDIR: this.folder, OVS_LOGDIR: this.folder, OVS_DBDIR: this.folder };
    const quiet = ['-vconsole:off', '-vsyslog:off'];
    return spawn(program, [...args, ...files, ...quiet], { env, stdio: 'ignore', detached: true });
  }
}

async function version(): Promise<string> {
  return /(\d+\.[\d.]+)/.exec(await command(['ovs-vswitchd', '--version']))?.[1] ?? 'unknown';
}

export async function unavailable({ type }: Pick<Kind, 'type'>): Promise<string | undefined> {
  const why = lacking('ip', 'ovsdb-tool', 'ovsdb-server', 'ovs-vswitchd', 'ovs-vsctl', 'ovs-appctl');
  if (why) return why;
  if (!existsSync(SCHEMA)) return `${SCHEMA} is not there`;
  if (existsSync('/sys/class/net/ovs-netdev')) return 'another Open vSwitch has the user-space datapath';
  const binary = type && (await command(['which', 'ovs-vswitchd'])).trim();
  if (binary && !readFileSync(binary).includes('xdp-mode'))
    return 'this Open vSwitch was built without AF_XDP';
  return undefined;
}
