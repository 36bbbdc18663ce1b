/** A switch in one JavaScript thread, on a clock that the test moves: real datapath, real slow path, no ports. */

import { connectionRows } from '../../src/control/connections.ts';
import type { ConnectionRow, RuleCommand, RuleKind, Watched } from '../../src/model.ts';
import type { RuleLimits } from '../../src/table/tables.ts';
import type { ConnectionSlice } from '../../src/upcall/connections.ts';
import type { PortName, SlowReply, SlowRequest } from '../../src/upcall/request.ts';
import { SlowPath } from '../../src/upcall/slow-path.ts';
import { Rig } from '../support/rig.ts';

/** A packet as it left. */
export interface Sent {
  port: number;
  bytes: Uint8Array;
}

export const NO_LIMITS: RuleLimits = { rules: 1_000_000, tables: {} };

export class SmallSwitch {
  readonly rig: Rig;
  readonly slow: SlowPath;
  nowMs = 0;

  constructor(flows: string, rules: RuleLimits = NO_LIMITS, connections = 4096) {
    this.rig = new Rig({ flows: 1024, frames: 1024, largeFrames: 256, connections });
    this.rig.open(1, 2, 3);
    this.slow = new SlowPath(this.rig.handler, {
      ports: this.ports(),
      flows,
      rules,
      macAgeingMs: 300_000,
    });
  }

  ports(...down: number[]): PortName[] {
    return [1, 2, 3].map((number) => ({ number, name: `p${number}`, up: !down.includes(number) }));
  }

  /** Lets time pass; the slow path does what falls due on the way. */
  advance(seconds: number): void {
    const untilMs = this.nowMs + seconds * 1000;
    for (let dueMs = this.slow.dueMs(); dueMs <= untilMs; dueMs = this.slow.dueMs()) {
      this.nowMs = Math.max(this.nowMs, dueMs);
      this.slow.round(this.nowMs);
    }
    this.nowMs = untilMs;
    this.slow.round(this.nowMs);
  }

  /** A packet comes in; the ports that it leaves by, as often as it does. */
  send(port: number, packet: Uint8Array): number[] {
    return this.forward(port, packet)
      .map((sent) => sent.port)
      .sort((a, b) => a - b);
  }

  /** A packet comes in; what leaves. */
  forward(port: number, packet: Uint8Array): Sent[] {
    const { rig } = this;
    rig.datapath.setClock(this.nowMs);
    rig.datapath.exports.enter();
    rig.receive(port, [packet]);
    const sent: Sent[] = [];
    const transmit = () => {
      rig.datapath.exports.collect();
      for (const [to, packets] of rig.transmit()) sent.push(...packets.map((bytes) => ({ port: to, bytes })));
    };
    transmit();
    while (this.slow.round(this.nowMs) > 0) transmit();
    transmit();
    rig.datapath.exports.leave();
    return sent;
  }

  ask<Kind extends RuleKind>(kind: Kind, action: RuleCommand<Kind>, text = ''): string[] {
    return this.request({ command: 'rules', kind, action, text }) as string[];
  }

  /** What monitor 1 has not been told yet. */
  watch(): Watched {
    return this.request({ command: 'watch', monitor: 1 }) as Watched;
  }

  request(request: SlowRequest): SlowReply {
    return this.slow.ask(request);
  }

  connections(...filter: string[]): ConnectionRow[] {
    const rows: ConnectionRow[] = [];
    for (let from: number | undefined = 0; from !== undefined; ) {
      const slice = this.request({ command: 'connections', filter, from }) as ConnectionSlice;
      rows.push(...connectionRows(slice.records, slice.nowMs));
      from = slice.next;
    }
    return rows;
  }

  /** The flows without what changes with time. */
  flows(): string[] {
    return this.ask('flows', 'dump').map((line) =>
      line.replace(/cookie=0x0, |duration=\S+ |table=0, |n_bytes=\S+ |(idle|hard)_age=\S+ /g, ''),
    );
  }
}
